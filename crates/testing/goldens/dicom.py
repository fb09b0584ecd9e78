"""Small series of DICOM as pydicom writes them, and what SimpleITK makes of them.

Run: python crates/testing/goldens/dicom.py [DCMQI]
     (numpy, pydicom 3.0, SimpleITK; pylibjpeg-openjpeg and pyjpegls pack the slices)
Writes crates/testing/goldens/dicom/: a folder a series, and expected.json.

With DCMQI, the folder `data/dcmqi/segmentations/23x38x3` of github.com/robyoung/dicom-test-files (BSD licence of dcmqi),
its three slices and the enhanced CT that dcmqi made of them are unpacked to `slices` and `enhanced` (zstandard).
"""

import json
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

OUT = Path(__file__).with_suffix("")
# OpenJPEG packs nothing smaller than 32 pixels.
SLICES, ROWS, COLUMNS = 3, 33, 35
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def rotation(degrees):
    """Turns about all three axes, one after the other."""
    x, y, z = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def decimal(number):
    """As DICOM's decimal strings have it: at most 16 characters."""
    return f"{number:.10g}"


def write(name, directions, syntax=ExplicitVRLittleEndian, signed=True, bits=16, spacing=(0.7, 0.9, 1.25)):
    """A series whose rows, columns and slices run along the columns of `directions`."""
    folder = OUT / name
    folder.mkdir(parents=True)
    is_packed = syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless)
    generator = np.random.default_rng(len(name))
    for index in range(SLICES):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if is_packed else syntax
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = f"1.2.3.{index + 1}"
        data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.StudyInstanceUID, data.SeriesInstanceUID, data.SeriesNumber = "1.2.4", "1.2.5", 1
        data.FrameOfReferenceUID = "1.2.6"
        place = np.array([-30.5, 12.25, 100.0]) + index * spacing[2] * directions[:, 2]
        data.ImagePositionPatient = [decimal(number) for number in place]
        data.ImageOrientationPatient = [decimal(number) for number in directions[:, :2].T.ravel()]
        data.PixelSpacing = [decimal(spacing[1]), decimal(spacing[0])]
        data.Rows, data.Columns, data.SamplesPerPixel = ROWS, COLUMNS, 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, bits, bits - 1
        data.PixelRepresentation = int(signed)
        data.RescaleSlope, data.RescaleIntercept = 1 + index, -1000 - index
        least = -900 if signed else 0
        pixels = generator.integers(least, 2000, (ROWS, COLUMNS)).astype("int16" if signed else "uint16")
        data.PixelData = pixels.tobytes()
        # The last slice comes first by name.
        data.save_as(folder / f"{SLICES - index}.dcm", enforce_file_format=True)
    expect(name)
    # SimpleITK saw the pixels before they were packed, which loses nothing.
    for file in folder.iterdir() if is_packed else []:
        data = pydicom.dcmread(file)
        data.compress(syntax, generate_instance_uid=False)
        data.save_as(file, enforce_file_format=True)


def expect(name):
    """What SimpleITK reads."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(OUT / name)))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    values = sitk.GetArrayFromImage(image)
    expected[name] = {
        "shape": list(values.shape),
        "affine": (LPS_TO_RAS @ affine).ravel().tolist(),
        # Of the values as int16, little endian.
        "crc32": zlib.crc32(values.astype("<i2").tobytes()),
    }


def unpack(source):
    """The slices of dcmqi and its enhanced CT."""
    import zstandard

    for name, files in [("slices", source / "image"), ("enhanced", source / "multiframe")]:
        (OUT / name).mkdir()
        for file in sorted(files.iterdir()):
            content = zstandard.ZstdDecompressor().decompressobj().decompress(file.read_bytes())
            (OUT / name / file.stem).write_bytes(content)
    expect("slices")
    expected["enhanced"] = expected["slices"]


expected = {}
if len(sys.argv) > 1:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    unpack(Path(sys.argv[1]))
AXIAL = np.eye(3)
write("axial", AXIAL)
write("feet_first", np.diag([-1.0, 1.0, -1.0]), ImplicitVRLittleEndian)
write("coronal", np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), DeflatedExplicitVRLittleEndian)
write("sagittal", np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]), RLELossless, signed=False, bits=12)
write("oblique", rotation([11, -23, 37]), JPEGLSLossless)
write("oblique_packed", rotation([-5, 8, 170]), JPEG2000Lossless, signed=False, bits=12)
write("packed", AXIAL, JPEG2000Lossless)
(OUT / "expected.json").write_text(json.dumps(expected, indent=1))
