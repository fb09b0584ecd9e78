"""Small volumes in every format that `volume` reads, and what nibabel and SimpleITK make of them.

Run: python crates/testing/goldens/volume.py   (numpy, nibabel, SimpleITK)
Writes crates/testing/goldens/volume/: the files and expected.json.
"""

import gzip
import json
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

OUT = Path(__file__).with_suffix("")
SHAPE_XYZ = (5, 4, 3)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
expected = {}


def values(dtype, shape=SHAPE_XYZ):
    """Numbers that differ in every byte of their type."""
    generator = np.random.default_rng(len(dtype) * 100 + sum(map(ord, dtype)))
    if dtype.startswith("float"):
        return (generator.normal(0, 500, shape)).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def rotation(about_x, about_y, about_z):
    cx, sx, cy, sy, cz, sz = [f(np.deg2rad(a)) for a in (about_x, about_y, about_z) for f in (np.cos, np.sin)]
    return (np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
            @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]]))


def oblique():
    affine = np.eye(4)
    affine[:3, :3] = rotation(12, -7, 25) @ np.diag([-0.7, 0.8, 2.5])
    affine[:3, 3] = [101.25, -77.5, -1300.125]
    return affine


def note(name, data, affine, warnings=(), axcodes=None, spacing_xyz=None):
    data = np.asarray(data)
    expected[name] = {
        "dataType": data.dtype.name,
        "shape": list(data.shape[2::-1]) if data.ndim >= 3 else [1, *data.shape[::-1]],
        "voxels": [str(v) if data.dtype.kind in "iu" else float(v) for v in data.ravel(order="F")],
        "affine": [float(v) for v in np.asarray(affine).ravel()],
        "spacingMm": [float(v) for v in (spacing_xyz or nib.affines.voxel_sizes(affine))][::-1],
        "axcodes": axcodes or "".join(nib.aff2axcodes(affine)),
        "warnings": list(warnings),
    }


def note_nifti(name, **more):
    image = nib.load(OUT / name)
    if "index" in more:
        data = image.dataobj.get_unscaled()[..., more["index"]]
    else:
        data = np.asarray(image.dataobj)
    note(name, data, image.affine, warnings=more.get("warnings", ()))
    expected[name]["sformCode"] = int(image.header["sform_code"])
    expected[name]["qformCode"] = int(image.header["qform_code"])


def niftis():
    for version, image_class in ((1, nib.Nifti1Image), (2, nib.Nifti2Image)):
        for order in "<>":
            for dtype in TYPES:
                name = f"nifti{version}_{'le' if order == '<' else 'be'}_{dtype}.nii"
                header = image_class.header_class(endianness=order)
                header.set_data_dtype(dtype)
                image = image_class(values(dtype), oblique(), header)
                image.set_sform(oblique(), 1)
                image.set_qform(oblique(), 1)
                image.to_filename(OUT / name)
                note_nifti(name)
    qform = nib.Nifti1Image(values("int16"), None)
    qform.set_qform(oblique(), 1)
    qform.set_sform(None, 0)
    qform.to_filename(OUT / "qform_only.nii.gz")
    note_nifti("qform_only.nii.gz")
    bare = nib.Nifti1Image(values("int16"), None)
    bare.header.set_zooms((0.7, 0.8, 2.5))
    bare.header["sform_code"] = bare.header["qform_code"] = 0
    bare.to_filename(OUT / "no_forms.nii.gz")
    note_nifti("no_forms.nii.gz", warnings=["NO_ORIENTATION"])
    pair = nib.Nifti1Pair(values("int16"), oblique())
    pair.to_filename(OUT / "pair.hdr")
    note_nifti("pair.hdr")
    flat = nib.Nifti1Image(values("int16", (5, 4)), oblique())
    flat.to_filename(OUT / "flat.nii")
    note_nifti("flat.nii")
    extended = nib.Nifti1Image(values("int16"), oblique())
    extended.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept as it is"))
    extended.to_filename(OUT / "extension.nii.gz")
    note_nifti("extension.nii.gz")
    frames = np.stack([values("int16"), -(values("int16") // 2)], axis=-1)
    nib.Nifti1Image(frames, oblique()).to_filename(OUT / "frames.nii.gz")
    note_nifti("frames.nii.gz", index=1)
    expected["frames.nii.gz"]["index"] = 1
    whole = (OUT / "nifti1_le_int16.nii").read_bytes()
    members = b"".join(gzip.compress(part, mtime=0) for part in (whole[:100], whole[100:400], whole[400:]))
    (OUT / "members.nii.gz").write_bytes(members)
    note_nifti("members.nii.gz")


def sitk_affine(path):
    image = sitk.ReadImage(str(path))
    size = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(size, size)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction @ np.diag(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    return LPS_TO_RAS @ affine + 0.0, sitk.GetArrayFromImage(image)


def with_sitk():
    for dtype in TYPES:
        for ending, packed in (("nrrd", False), ("nrrd", True), ("mha", False), ("mha", True)):
            name = f"sitk_{dtype}_{'packed' if packed else 'raw'}.{ending}"
            image = sitk.GetImageFromArray(values(dtype).T)
            affine = LPS_TO_RAS @ oblique()
            spacing = nib.affines.voxel_sizes(affine)
            image.SetSpacing(spacing.tolist())
            image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
            image.SetOrigin(affine[:3, 3].tolist())
            sitk.WriteImage(image, str(OUT / name), useCompression=packed)
            affine, array = sitk_affine(OUT / name)
            note(name, array.T, affine)
    for name in ("detached.nhdr", "detached.mhd"):
        image = sitk.GetImageFromArray(values("int16").T)
        sitk.WriteImage(image, str(OUT / name), useCompression=name.endswith("mhd"))
        affine, array = sitk_affine(OUT / name)
        note(name, array.T, affine)


def by_hand():
    data = values("int16")
    raw = data.ravel(order="F")
    head = "NRRD0004\n# a comment\ntype: short\ndimension: 3\nsizes: 5 4 3\n"
    placed = "space directions: (0.7,0,0) (0,0.1,0.8) (0,2.5,0)\nspace origin: (10,-20,30)\n"
    for space, signs in (("right-anterior-superior", (1, 1, 1)), ("LAS", (-1, 1, 1)), ("left-posterior-superior", (-1, -1, 1))):
        name = f"space_{space[:3].lower()}.nrrd"
        text = f"{head}space: {space}\n{placed}endian: big\nencoding: raw\nkey:=value: with colon\n\n"
        (OUT / name).write_bytes(text.encode() + raw.astype(">i2").tobytes())
        affine = np.array([[0.7, 0, 0, 10], [0, 0.1, 2.5, -20], [0, 0.8, 0, 30], [0, 0, 0, 1]])
        note(name, data, np.diag([*signs, 1]) @ affine + 0.0)
    (OUT / "spacings.nrrd").write_bytes(
        f"{head}spacings: 0.7 0.8 2.5\nendian: little\nencoding: gzip\n\n".encode() + gzip.compress(raw.astype("<i2").tobytes(), mtime=0))
    note("spacings.nrrd", data, np.diag([-0.7, -0.8, 2.5, 1]), ["NO_ORIENTATION"])
    numbers = "\n".join(" ".join(map(str, row)) for row in raw.reshape(-1, 5))
    (OUT / "text.nrrd").write_text(f"{head}space: LPS\n{placed}encoding: ascii\n\n{numbers}\n")
    note("text.nrrd", data, np.diag([-1, -1, 1, 1]) @ np.array([[0.7, 0, 0, 10], [0, 0.1, 2.5, -20], [0, 0.8, 0, 30], [0, 0, 0, 1]]) + 0.0)
    mha = "ObjectType = Image\r\nNDims = 3\r\nBinaryData = True\r\nBinaryDataByteOrderMSB = True\r\nCompressedData = {c}\r\n" \
          "TransformMatrix = 0 1 0 1 0 0 0 0 -1\r\nOffset = 1 2 3\r\nElementSpacing = 0.7 0.8 2.5\r\nDimSize = 5 4 3\r\n" \
          "ElementType = MET_SHORT\r\nElementDataFile = LOCAL\r\n"
    affine = np.diag([-1, -1, 1, 1]) @ np.array([[0, 0.8, 0, 1], [0.7, 0, 0, 2], [0, 0, -2.5, 3], [0, 0, 0, 1]]) + 0.0
    big = raw.astype(">i2").tobytes()
    (OUT / "big_endian.mha").write_bytes(mha.format(c="False").encode() + big)
    note("big_endian.mha", data, affine)
    packed = zlib.compress(big)
    (OUT / "big_endian_zlib.mha").write_bytes(mha.format(c=f"True\r\nCompressedDataSize = {len(packed)}").encode() + packed)
    note("big_endian_zlib.mha", data, affine)
    for name in ("big_endian.mha", "big_endian_zlib.mha"):
        theirs, array = sitk_affine(OUT / name)
        assert np.array_equal(array.T, data) and np.allclose(theirs, affine), name


def other_units():
    """Lengths in other units than mm. SimpleITK reads the numbers and passes over their units, so the factors are ours."""
    data = values("int16")
    raw = data.ravel(order="F").astype("<i2").tobytes()
    head = "NRRD0005\ntype: short\ndimension: 3\nsizes: 5 4 3\nendian: little\nencoding: raw\n"
    placed = "space: left-posterior-superior\nspace directions: {} {} {}\nspace origin: {}\n"
    meta = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nTransformMatrix = 0 1 0 1 0 0 0 0 -1\n" \
           "Offset = {} {} {}\nElementSpacing = {} {} {}\nDimSize = 5 4 3\nDistanceUnits = {}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"

    def vectors(*in_mm, unit_mm):
        return ["(" + ",".join(repr(float(v / u)) for v, u in zip(vector, unit_mm)) + ")" for vector in in_mm]

    def written(name, text, unit_mm, warnings):
        (OUT / name).write_bytes(text.encode() + raw)
        affine, array = sitk_affine(OUT / name)
        note(name, array.T, np.diag([*unit_mm, 1.0]) @ affine + 0.0, warnings)

    for name, unit_mm, units in (
        ("units_cm.nrrd", (10.0,) * 3, '"cm" "cm" "cm"'),
        ("units_um.nrrd", (0.001,) * 3, '"um" "um" "um"'),
        ("units_m.nrrd", (1000.0,) * 3, '"m" "m" "m"'),
        ("units_differ.nrrd", (0.001, 1.0, 10.0), '"microns" "mm" "cm"'),
    ):
        lines = placed.format(*vectors((0.7, 0, 0), (0, 0.1, 0.8), (0, 2.5, 0), (10, -20, 30), unit_mm=unit_mm))
        written(name, f"{head}{lines}space units: {units}\n\n", unit_mm, ["UNITS"])
    lines = 'spacings: 700 0.08 2.5\nunits: "um" "cm" "mm"\n\n'
    written("units_spacings.nrrd", head + lines, (0.001, 10.0, 1.0), ["NO_ORIENTATION", "UNITS"])
    for unit, unit_mm in (("cm", 10.0), ("um", 0.001), ("m", 1000.0)):
        numbers = [float(v / unit_mm) for v in (10, -20, 30, 0.7, 0.8, 2.5)]
        written(f"units_{unit}.mha", meta.format(*numbers, unit), (unit_mm,) * 3, ["UNITS"])


def orientations():
    """Affines near and far from the axes, sheared and singular, with nibabel's axis codes and canonical affine."""
    generator = np.random.default_rng(7)
    cases = []
    for index in range(120):
        matrix = rotation(*generator.uniform(-180, 180, 3)) @ np.diag(generator.uniform(0.3, 5, 3) * generator.choice([-1, 1], 3))
        if index % 3 == 1:
            matrix = np.eye(3)[generator.permutation(3)] * generator.choice([-1.5, 2.0], 3)
        if index % 4 == 2:
            matrix = matrix @ (np.eye(3) + np.triu(generator.uniform(-0.6, 0.6, (3, 3)), 1))
        if index % 20 == 19:
            matrix[:, index % 3] = matrix[:, (index + 1) % 3] * 2
        affine = np.eye(4)
        affine[:3, :3] = matrix
        affine[:3, 3] = generator.uniform(-200, 200, 3)
        case = {"affine": affine.ravel().tolist()}
        if index % 20 != 19:
            case["axcodes"] = "".join(nib.aff2axcodes(affine))
            image = nib.as_closest_canonical(nib.Nifti1Image(np.arange(24, dtype="int16").reshape(4, 3, 2, order="F"), affine))
            case["canonicalShape"] = list(image.shape[::-1])
            case["canonicalVoxels"] = np.asarray(image.dataobj).ravel(order="F").tolist()
            case["canonicalAffine"] = image.affine.ravel().tolist()
        cases.append(case)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (OUT / "orientations.json").write_text(f"[\n{lines}\n]\n")


OUT.mkdir(exist_ok=True)
for old in OUT.iterdir():
    old.unlink()
niftis()
with_sitk()
by_hand()
other_units()
orientations()
lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(expected.items()))
(OUT / "expected.json").write_text("{\n" + lines + "\n}\n")
