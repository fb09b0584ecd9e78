"""Reads what pulmoav wrote of one label map with programs of others, and prints one JSON object.

Run: python benches/round_trips.py FOLDER
     (numpy, pydicom 3, highdicom 0.28, nibabel 5, SimpleITK 2.5, trimesh 4 or newer)
FOLDER holds labels.nii.gz, labels.seg.nrrd, labels.seg.dcm, vessels.glb and vessels.stl.
"""

import json
import sys
from pathlib import Path

import highdicom as hd
import nibabel
import numpy as np
import SimpleITK as sitk
import trimesh

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
ML_OF_CUBIC_MILLIMETRES = 1e-3


def from_nifti(path):
    """The label map as nibabel reads it: voxels [z, y, x], and the affine from (x, y, z) to RAS mm."""
    image = nibabel.load(path)
    return np.asarray(image.dataobj).transpose(2, 1, 0), image.affine


def from_itk(path):
    """The same by SimpleITK, whose coordinates are LPS."""
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), LPS_TO_RAS @ affine


def from_dicom(path, like):
    """The same by highdicom, with the values that our private element gives and the slices in the order of `like`."""
    segmentation = hd.seg.segread(path)
    volume = segmentation.get_volume(combine_segments=True, relabel=False)
    numbers, affine = volume.array, LPS_TO_RAS @ volume.affine[:, [2, 1, 0, 3]]
    values = [int(segment[0x0063, 0x1001].value) for segment in segmentation.SegmentSequence]
    labels = np.zeros_like(numbers)
    for number, value in enumerate(values, 1):
        labels[numbers == number] = value
    if np.dot(affine[:3, 2], like[:3, 2]) < 0:
        affine = affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, labels.shape[0] - 1], [0, 0, 0, 1]])
        labels = labels[::-1]
    return labels, affine


def compared(way, reader, got, want):
    """How far a label map is from another one: voxels that differ, and mm that corners and centroids lie off."""
    (labels, affine), (other, other_affine) = got, want
    if labels.shape != other.shape:
        return {"way": way, "reader": reader, "differ": None}
    corners = np.array([[x, y, z, 1] for z in (0, labels.shape[0] - 1) for y in (0, labels.shape[1] - 1) for x in (0, labels.shape[2] - 1)]).T
    off = [np.abs(affine @ mean(labels == value) - other_affine @ mean(other == value)).max() for value in np.unique(other) if value]
    return {
        "way": way,
        "reader": reader,
        "voxels": int(labels.size),
        "differ": int((labels != other).sum()),
        "cornersMm": float(np.abs((affine - other_affine) @ corners).max()),
        "centroidsMm": float(max(off)),
    }


def mean(mask):
    return np.append(np.argwhere(mask).mean(axis=0)[::-1], 1)


def surfaces(folder, labels, affine):
    """Volumes of the meshes, ml, beside those of the voxels."""
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) * ML_OF_CUBIC_MILLIMETRES
    counts = [int((labels == value).sum()) * voxel_ml for value in np.unique(labels) if value]
    scene = trimesh.load(folder / "vessels.glb")
    # A node of the scene turns them into metres.
    parts = [float(mesh.volume) * ML_OF_CUBIC_MILLIMETRES for mesh in scene.geometry.values()]
    whole = float(trimesh.load(folder / "vessels.stl").volume) * ML_OF_CUBIC_MILLIMETRES
    rows = [("glb", name, mesh, voxels) for name, mesh, voxels in zip(scene.geometry, parts, counts)]
    rows.append(("stl", "both", whole, sum(counts)))
    return [{"file": file, "what": what, "meshMl": mesh, "voxelsMl": voxels} for file, what, mesh, voxels in rows]


def main(folder):
    folder = Path(folder)
    nifti = from_nifti(folder / "labels.nii.gz")
    dicom = from_dicom(folder / "labels.seg.dcm", nifti[1])
    rows = [
        compared("DICOM → labels → .seg.dcm", "highdicom", dicom, nifti),
        compared("labels → .seg.nrrd", "SimpleITK", from_itk(folder / "labels.seg.nrrd"), nifti),
        compared("labels → .nii.gz", "SimpleITK", from_itk(folder / "labels.nii.gz"), nifti),
    ]
    print(json.dumps({"rows": rows, "surfaces": surfaces(folder, *nifti)}))


if __name__ == "__main__":
    main(sys.argv[1])
