"""DICOM segmentations: one that highdicom wrote, for our reader, and a check of ours by other readers.

Run: python crates/testing/goldens/dicom_seg.py
         (numpy, pydicom 3.0, highdicom 0.28) writes crates/testing/goldens/dicom/segmentation.dcm and segmentation.json
     python crates/testing/goldens/dicom_seg.py check SERIES SEGMENTATION LABELS.nii.gz
         (and nibabel, SimpleITK) reads a segmentation that pulmoav wrote of the folder SERIES with highdicom, and the
         same labels as NIfTI with nibabel, compares them voxel by voxel and place by place, and prints one line a row
         of the table in docs/dicom.md; ends with status 1 where something differs.
"""

import json
import sys
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.sr.codedict import codes

HERE = Path(__file__).parent
# What highdicom copies, and the series of the goldens do not say.
EMPTY = """PatientName PatientID PatientBirthDate PatientSex StudyID StudyDate StudyTime AccessionNumber
ReferringPhysicianName PositionReferenceIndicator""".split()
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def images_of(folder):
    """The slices of a series, sorted by their place along the normal."""
    images = [pydicom.dcmread(path) for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    row, column = np.split(np.array(images[0].ImageOrientationPatient, float), 2)
    normal = np.cross(row, column)
    return sorted(images, key=lambda image: float(np.dot(image.ImagePositionPatient, normal)))


def write_golden():
    images = images_of(HERE / "dicom" / "oblique")
    shape = (len(images), images[0].Rows, images[0].Columns)
    rng = np.random.default_rng(17)
    labels = rng.choice([0, 0, 0, 1, 2], size=shape).astype(np.uint8)
    labels[1][labels[1] == 2] = 0
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=code,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name, code in [(1, "artery", codes.SCT.PulmonaryArtery), (2, "vein", codes.SCT.PulmonaryVein)]
    ]
    for image in images:
        for keyword in EMPTY:
            setattr(image, keyword, getattr(image, keyword, ""))
        image.SliceThickness = getattr(image, "SliceThickness", None) or 1.0
        image.StudyInstanceUID = getattr(image, "StudyInstanceUID", "1.2.3")
        image.FrameOfReferenceUID = getattr(image, "FrameOfReferenceUID", "1.2.3.9")
    made = hd.seg.Segmentation(
        source_images=images,
        pixel_array=labels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=described,
        series_instance_uid="1.2.3.4.5",
        series_number=1000,
        sop_instance_uid="1.2.3.4.5.6",
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="none",
        device_serial_number="none",
    )
    made.save_as(HERE / "dicom" / "segmentation.dcm")
    # Only slices with a voxel are written, and slice 1 has arteries.
    expected = {"shape": list(shape), "labels": labels.ravel().tolist()}
    (HERE / "dicom" / "segmentation.json").write_text(json.dumps(expected) + "\n")


def affine_of(segmentation):
    """From voxel (x, y, z) to R, A, S, of highdicom's volume."""
    volume = segmentation.get_volume(combine_segments=True, relabel=False)
    # highdicom's array runs slice, row, column; its affine leads to L, P, S.
    return volume.array, LPS_TO_RAS @ volume.affine[:, [2, 1, 0, 3]]


def check(series, path, labels_path):
    import nibabel
    import SimpleITK as sitk

    segmentation = hd.seg.segread(path)
    image = nibabel.load(labels_path)
    want = np.asarray(image.dataobj).transpose(2, 1, 0)
    values = [int(segment[0x0063, 0x1001].value) for segment in segmentation.SegmentSequence]
    numbers, affine = affine_of(segmentation)
    got = np.zeros_like(numbers)
    for number, value in enumerate(values, 1):
        got[numbers == number] = value
    # highdicom sorts slices so that its axes are right-handed: turn them as the NIfTI has them.
    if np.dot(affine[:3, 2], image.affine[:3, 2]) < 0:
        affine = affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, got.shape[0] - 1], [0, 0, 0, 1]])
        got = got[::-1]
    rows = {}
    rows["voxels that differ (highdicom)"] = int((got != want).sum()) if got.shape == want.shape else "another shape"
    corners = np.array([[x, y, z, 1] for z in (0, want.shape[0] - 1) for y in (0, want.shape[1] - 1) for x in (0, want.shape[2] - 1)]).T
    rows["corners lie off, mm"] = float(np.abs((affine - image.affine) @ corners).max())
    for segment, value in zip(segmentation.SegmentSequence, values):
        got_at, want_at = (affine @ mean(got == value), image.affine @ mean(want == value))
        rows[f"centroid of {segment.SegmentLabel} off, mm"] = float(np.abs(got_at - want_at).max())
        code = segment.SegmentedPropertyTypeCodeSequence[0]
        rows[f"code of {segment.SegmentLabel}"] = f"{code.CodingSchemeDesignator} {code.CodeValue} {code.CodeMeaning}"
        colour = hd.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue)
        rows[f"colour of {segment.SegmentLabel}"] = " ".join(map(str, colour.to_rgb()))
    sources = images_of(series)
    named = {image.SOPInstanceUID for image in sources}
    referred = {item.ReferencedSOPInstanceUID for item in segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    rows["slices of the series that are not referred to"] = len(named - referred)
    rows["references to other slices"] = len(referred - named)
    rows["frames whose place is not their source's"] = misplaced(segmentation, sources)
    for keyword in ["PatientID", "StudyInstanceUID", "FrameOfReferenceUID"]:
        rows[f"same {keyword}"] = getattr(segmentation, keyword) == getattr(sources[0], keyword)
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    rows["frames, SimpleITK"] = f"{array.shape[0]}, {int((array > 0).sum())} voxels set"
    rows["voxels set, NIfTI"] = int((want > 0).sum())
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    bad = rows["voxels that differ (highdicom)"] != 0 or rows["corners lie off, mm"] > 1e-3
    bad |= rows["references to other slices"] != 0 or rows["frames whose place is not their source's"] != 0
    bad |= int((array > 0).sum()) != int((want > 0).sum())
    return 1 if bad else 0


def mean(mask):
    places = np.argwhere(mask)
    if len(places) == 0:
        return np.array([0, 0, 0, 1.0])
    return np.append(places.mean(axis=0)[::-1], 1)


def misplaced(segmentation, sources):
    places = {image.SOPInstanceUID: np.array(image.ImagePositionPatient, float) for image in sources}
    count = 0
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        count += bool(np.abs(place - places[source.ReferencedSOPInstanceUID]).max() > 1e-9)
    return count


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        sys.exit(check(*sys.argv[2:5]))
    write_golden()
