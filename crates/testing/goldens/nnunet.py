"""Tiny model folders as nnU-Net v2 writes them, and what their networks answer.

Run from this folder: `python nnunet.py` (torch, numpy, safetensors, dynamic-network-architectures 0.4). Writes nnunet/plain and
nnunet/residual, each a trainer's folder with plans.json, dataset.json and fold_0/checkpoint_final.pth, and nnunet/answers.safetensors:
of each network `NAME.input` [c, z, y, x] and `NAME.logits` [outputs, z, y, x], every STEP-th voxel of each axis.
`plain` has kernels and strides that differ by axis and, as plans.old_format.json, a twin of its plans in the format of before 2024;
`residual` has two channels, no biases, regions, a transposed grid, a parent configuration and a trainer nobody knows.
The checkpoints hold beside the network what trainers keep: an optimiser's state, numpy scalars, a device, an object of a class that
no reader has. Weights are random.
"""

import copy
import json
import os
import sys
import types
from collections import OrderedDict

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from safetensors.torch import save_file

STEP = 3
CLASSES = {"PlainConvUNet": PlainConvUNet, "ResidualEncoderUNet": ResidualEncoderUNet}
IMPORTED = {"conv_op": torch.nn.Conv3d, "norm_op": torch.nn.InstanceNorm3d, "nonlin": torch.nn.LeakyReLU}


def arguments(features, kernels, strides, blocks, decoder, bias):
    name, counts = blocks
    return {
        "n_stages": len(features), "features_per_stage": features, "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": kernels, "strides": strides, name: counts, "n_conv_per_stage_decoder": decoder, "conv_bias": bias,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
    }


def resampling(function, **options):
    entries = {}
    for what, order, is_seg in [("data", 3, False), ("seg", 1, True), ("probabilities", 1, False)]:
        entries[f"resampling_fn_{what}"] = function
        own = {"order": order, "order_z": 0} if "torch" not in function else {}
        entries[f"resampling_fn_{what}_kwargs"] = {"is_seg": is_seg, **own, **options}
    return entries


def configuration(patch, spacing, norms, masks, architecture, entries):
    return {
        "data_identifier": "nnUNetPlans_3d_fullres", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": patch, "median_image_size_in_voxels": [100.0, 200.0, 200.0], "spacing": spacing,
        "normalization_schemes": norms, "use_mask_for_norm": masks, "architecture": architecture, "batch_dice": True, **entries,
    }


def plans(name, reader, forward, backward, configurations):
    intensity = {
        "max": 2310.0, "mean": -312.7, "median": -480.0, "min": -1024.0, "percentile_00_5": -1011.0, "percentile_99_5": 487.0,
        "std": 401.3,
    }
    return {
        "dataset_name": name, "plans_name": "nnUNetPlans", "original_median_spacing_after_transp": [3.0, 0.8, 0.8],
        "original_median_shape_after_transp": [100, 200, 200], "image_reader_writer": reader, "transpose_forward": forward,
        "transpose_backward": backward, "configurations": configurations, "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager", "foreground_intensity_properties_per_channel": {"0": intensity, "1": intensity},
    }


def old_format(new):
    """What nnU-Net before 2.4 wrote for the same network."""
    old = copy.deepcopy(new)
    old["foreground_intensity_properties_by_modality"] = old.pop("foreground_intensity_properties_per_channel")
    for entry in [entry for entry in old["configurations"].values() if "architecture" in entry]:
        given = entry.pop("architecture")["arch_kwargs"]
        entry.update({
            "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": given["features_per_stage"][0],
            "unet_max_num_features": given["features_per_stage"][-1], "n_conv_per_stage_encoder": given["n_conv_per_stage"],
            "n_conv_per_stage_decoder": given["n_conv_per_stage_decoder"], "num_pool_per_axis": [1, 2, 2],
            "pool_op_kernel_sizes": given["strides"], "conv_kernel_sizes": given["kernel_sizes"],
        })
    return old


def network(kind, given, channels, outputs, seed):
    torch.manual_seed(seed)
    kwargs = {name: IMPORTED.get(name, value) for name, value in given.items()}
    net = CLASSES[kind](input_channels=channels, num_classes=outputs, deep_supervision=True, **kwargs)
    with torch.no_grad():
        for key, p in net.named_parameters():
            if p.dim() > 1:
                p.copy_(torch.randn_like(p) * (2 / p[0].numel()) ** 0.5)
            else:
                p.copy_(torch.randn_like(p) * 0.2 + (1.0 if "norm" in key and key.endswith("weight") else 0.0))
    return net.eval()


class Logger:
    """Of a module that no reader has."""


def checkpoint(net, trainer, name, axes):
    module = types.ModuleType("somebodys_trainer")
    Logger.__module__ = module.__name__
    module.Logger = Logger
    sys.modules[module.__name__] = module
    logger = Logger()
    logger.history = {"losses": [np.float64(0.5), np.float32(0.25)]}
    momentum = torch.full((4, 4), 0.125)
    return {
        "network_weights": OrderedDict(net.state_dict()),
        "optimizer_state": {"state": {0: {"momentum_buffer": momentum}}, "param_groups": [{"lr": 0.01, "params": [0]}]},
        "grad_scaler_state": None, "logging": logger.history, "logger": logger, "_best_ema": np.float64(0.75), "current_epoch": 1000,
        "init_args": {"configuration": name, "fold": 0, "plans": {"a": 1}, "dataset_json": {}, "device": torch.device("cuda", 0)},
        "trainer_name": trainer, "inference_allowed_mirroring_axes": axes,
    }


def write(folder, name, value):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def golden(name, made, dataset, given, kind, outputs, saved, patch, answers):
    folder = os.path.join("nnunet", name)
    os.makedirs(os.path.join(folder, "fold_0"), exist_ok=True)
    write(folder, "plans.json", made)
    write(folder, "dataset.json", dataset)
    channels = len(dataset["channel_names"])
    net = network(kind, given, channels, outputs, 7)
    torch.save(checkpoint(net, *saved), os.path.join(folder, "fold_0", "checkpoint_final.pth"))
    net.decoder.deep_supervision = False
    x = torch.randn(channels, *patch).half().float()
    with torch.no_grad():
        logits = net(x[None])[0]
    answers[f"{name}.input"] = x.half()
    answers[f"{name}.logits"] = logits[:, ::STEP, ::STEP, ::STEP].contiguous()


def main():
    answers = {}
    given = arguments([8, 16, 16], [[1, 3, 3], [3, 3, 3], [3, 3, 3]], [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
                      ("n_conv_per_stage", [2, 2, 2]), [2, 2], True)
    patch = [8, 32, 28]
    architecture = {"network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet", "arch_kwargs": given,
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"]}
    entry = configuration(patch, [3.0, 0.8, 0.8], ["CTNormalization"], [False], architecture,
                          resampling("resample_data_or_seg_to_shape", force_separate_z=None))
    made = plans("Dataset117_vessels", "SimpleITKIO", [0, 1, 2], [0, 1, 2], {"2d": {"patch_size": [512, 512]}, "3d_fullres": entry})
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "veins": 2, "arteries": 1}, "numTraining": 2,
               "file_ending": ".nii.gz", "name": "Dataset117_vessels", "licence": "CC-BY 4.0"}
    golden("plain", made, dataset, given, "PlainConvUNet", 3, ("nnUNetTrainerSkeletonRecall", "3d_fullres", (0, 1, 2)), patch, answers)
    write("nnunet/plain", "plans.old_format.json", old_format(made))

    given = arguments([8, 16, 16], [[3, 3, 3]] * 3, [[1, 1, 1], [2, 2, 2], [1, 2, 2]], ("n_blocks_per_stage", [1, 2, 2]), [1, 1], False)
    patch = [8, 16, 20]
    architecture = {"network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet", "arch_kwargs": given,
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"]}
    entry = configuration([64, 64, 64], [2.0, 1.6, 1.6], ["ZScoreNormalization", "NoNormalization"], [True, True], architecture,
                          resampling("resample_torch_fornnunet", force_separate_z=False, memefficient_seg_resampling=False))
    child = {"inherits_from": "3d_fullres", "patch_size": patch, "batch_size": 4}
    made = plans("Dataset904_regions", "NibabelIOWithReorient", [1, 2, 0], [2, 0, 1], {"3d_fullres": entry, "3d_small": child})
    dataset = {"channel_names": {"0": "MRI", "1": "noNorm"}, "labels": {"background": 0, "vessels": [1, 2], "artery": 1, "ignore": 3},
               "regions_class_order": [2, 1], "numTraining": 2, "file_ending": ".nii.gz", "name": "Dataset904_regions"}
    golden("residual", made, dataset, given, "ResidualEncoderUNet", 2, ("SomebodysTrainer", "3d_small", None), patch, answers)
    save_file(answers, "nnunet/answers.safetensors")


if __name__ == "__main__":
    main()
