"""The peer of the stage nnunet: a scan to labels by nnunetv2 itself, with a full-size network of random weights.

    nnunet_torch.py make FOLDER [--spacing 2.5]                 writes a trainer's folder: PlainConvUNet, 31 M parameters, patch 128^3
    nnunet_torch.py predict FOLDER SCAN LABELS [--threads 2]    prints a line of JSON: seconds of loading and of predicting, peak memory

Needs torch and nnunetv2. Predicting is as `nnUNetv2_predict` does it in one process, without mirroring, step 0.5: reading, preprocessing,
windows, resampling and writing.
"""

import argparse
import json
import pathlib
import resource
import time

import torch

STAGES = 6
FEATURES = [32, 64, 128, 256, 320, 320]


def plans(spacing):
    cubes, halved = [[3, 3, 3]] * STAGES, [[1, 1, 1]] + [[2, 2, 2]] * (STAGES - 1)
    keyword = {
        "n_stages": STAGES, "features_per_stage": FEATURES, "conv_op": "torch.nn.modules.conv.Conv3d", "kernel_sizes": cubes,
        "strides": halved, "n_conv_per_stage": [2] * STAGES, "n_conv_per_stage_decoder": [2] * (STAGES - 1), "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
    }
    resampling = {}
    for what, order, is_seg in [("data", 3, False), ("seg", 1, True), ("probabilities", 1, False)]:
        resampling[f"resampling_fn_{what}"] = "resample_data_or_seg_to_shape"
        options = {"is_seg": is_seg, "order": order, "order_z": 0, "force_separate_z": None}
        resampling[f"resampling_fn_{what}_kwargs"] = options
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": [128] * 3, "median_image_size_in_voxels": [160.0] * 3, "spacing": [spacing] * 3,
        "normalization_schemes": ["CTNormalization"], "use_mask_for_norm": [False], "batch_dice": True, **resampling,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet", "arch_kwargs": keyword,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
    values = {"max": 2310.0, "mean": -312.7, "median": -480.0, "min": -1024.0, "std": 401.3}
    values |= {"percentile_00_5": -1011.0, "percentile_99_5": 487.0}
    return {
        "dataset_name": "Dataset900_Race", "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO",
        "original_median_spacing_after_transp": [spacing] * 3, "original_median_shape_after_transp": [160] * 3,
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "configurations": {"3d_fullres": configuration},
        "experiment_planner_used": "ExperimentPlanner", "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": values},
    }


def make(folder, spacing):
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    description = {
        "channel_names": {"0": "CT"}, "numTraining": 2, "file_ending": ".nii.gz", "name": "Dataset900_Race",
        "labels": {"background": 0, "lung_airways": 1, "lung_airways_wall": 2, "lung_arteries": 3, "lung_veins": 4},
    }
    written = plans(spacing)
    kind = written["configurations"]["3d_fullres"]["architecture"]
    torch.manual_seed(0)
    network = get_network_from_plans(kind["network_class_name"], kind["arch_kwargs"], kind["_kw_requires_import"], 1, 5)
    folder.joinpath("fold_0").mkdir(parents=True, exist_ok=True)
    folder.joinpath("plans.json").write_text(json.dumps(written))
    folder.joinpath("dataset.json").write_text(json.dumps(description))
    checkpoint = {
        "network_weights": network.state_dict(), "trainer_name": "nnUNetTrainer", "inference_allowed_mirroring_axes": (0, 1, 2),
        "init_args": {"plans": written, "configuration": "3d_fullres", "fold": 0, "dataset_json": description},
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")


def predict(folder, scan, labels, threads):
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    torch.set_num_threads(threads)
    started = time.perf_counter()
    predictor = nnUNetPredictor(
        tile_step_size=0.5, use_gaussian=True, use_mirroring=False, perform_everything_on_device=False,
        device=torch.device("cpu"), verbose=False, allow_tqdm=False,
    )
    predictor.initialize_from_trained_model_folder(str(folder), use_folds=(0,), checkpoint_name="checkpoint_final.pth")
    loaded = time.perf_counter()
    cut = str(labels)[: -len(".nii.gz")]
    predictor.predict_from_files_sequential([[str(scan)]], [cut], save_probabilities=False, overwrite=True)
    seconds = {"load": loaded - started, "predict": time.perf_counter() - loaded}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"case": "nnunetv2", "seconds": seconds, "peak_rss_gib": peak, "threads": threads}))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("what", choices=["make", "predict"])
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("files", type=pathlib.Path, nargs="*")
    options.add_argument("--spacing", type=float, default=2.5)
    options.add_argument("--threads", type=int, default=2)
    options = options.parse_args()
    if options.what == "make":
        make(options.folder, options.spacing)
    else:
        predict(options.folder, *options.files, options.threads)


if __name__ == "__main__":
    main()
