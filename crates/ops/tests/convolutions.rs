//! The convolution kernels against the plain reference: every block, tile and tail that the small goldens do not reach.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use pulmoav_ops::block_cache::BlockCache;
use pulmoav_ops::concat_channels;
use pulmoav_ops::conv3d::geometry::{Geometry, WeightOrder};
use pulmoav_ops::conv3d::winograd::{self, Tile};
use pulmoav_ops::conv3d::{conv3d, conv3d_joined, cpu, direct, reference};
use pulmoav_ops::simd::{Level, with_level};

/// As in the addon: large results start on a cache line.
#[global_allocator]
static ALLOCATOR: BlockCache = BlockCache::new();

/// Sums of up to some thousand products of values below 1, in f32 instead of f64, relative to the largest result.
const TOLERANCE: f32 = 5e-6;

/// Norm of the difference from sums in f64 over the norm of these, for every pass of tiles of 2³ and of 4³ results and
/// of strided ones: measured 2e-7 to 4e-7, 1e-6 to 2e-6, and 2e-7 to 3e-7; then of flat and of half-strided ones.
const WINOGRAD_ERRORS: [f64; 6] = [1e-6, 5e-6, 1e-6, 1e-6, 5e-6, 1e-6];

/// Batch, fine size, fine channels, coarse channels, kernel, stride, padding.
type Case = (usize, [usize; 3], usize, usize, [usize; 3], [usize; 3], [usize; 3]);

const CASES: &[Case] = &[
    // Several blocks along z and y, whole and partial tiles of each shape, whole and partial vectors.
    (2, [9, 35, 33], 3, 16, [3; 3], [1; 3], [1; 3]),
    (1, [5, 6, 8], 17, 33, [3; 3], [1; 3], [1; 3]),
    (2, [4, 7, 4], 40, 48, [3; 3], [1; 3], [1; 3]),
    (1, [3, 5, 1], 5, 7, [3; 3], [1; 3], [1; 3]),
    (1, [1, 1, 17], 16, 16, [3; 3], [1; 3], [1; 3]),
    // Even and odd sizes under stride 2, with and without whole last windows.
    (1, [9, 34, 35], 8, 20, [3; 3], [2; 3], [1; 3]),
    (2, [8, 8, 8], 16, 32, [3; 3], [2; 3], [1; 3]),
    (1, [6, 7, 18], 9, 3, [2; 3], [2; 3], [0; 3]),
    (1, [7, 5, 9], 4, 18, [1; 3], [2; 3], [0; 3]),
    (2, [4, 5, 40], 32, 4, [1; 3], [1; 3], [0; 3]),
    // Results that pass the caches by.
    (1, [64, 96, 96], 1, 16, [1; 3], [1; 3], [0; 3]),
    // Inputs that are read where they lie.
    (2, [6, 16, 24], 16, 33, [2; 3], [2; 3], [0; 3]),
    (1, [5, 12, 8], 21, 16, [1; 3], [1; 3], [0; 3]),
    (2, [5, 7, 15], 7, 20, [1; 3], [2; 3], [0; 3]),
    // Kernels and strides that no network of ours uses.
    (1, [6, 9, 21], 3, 5, [5, 4, 7], [1, 2, 3], [2, 1, 3]),
    (1, [5, 5, 9], 2, 3, [1, 2, 1], [2, 3, 4], [0, 0, 1]),
    (1, [4, 4, 12], 2, 3, [3; 3], [1; 3], [0, 3, 4]),
    (1, [4, 4, 12], 2, 17, [3; 3], [1; 3], [2, 2, 2]),
    (1, [2, 2, 3], 1, 1, [3; 3], [5; 3], [1; 3]),
    // Winograd's: several blocks, partial groups, odd sizes, one and more vectors, any padding.
    (1, [5, 14, 33], 16, 32, [3; 3], [1; 3], [1; 3]),
    (2, [16, 15, 17], 32, 16, [3; 3], [1; 3], [1; 3]),
    (2, [3, 4, 13], 48, 80, [3; 3], [1; 3], [0, 2, 4]),
    (1, [3, 3, 3], 16, 16, [3; 3], [1; 3], [0; 3]),
    (2, [16, 9, 22], 16, 32, [3; 3], [2; 3], [1; 3]),
    (1, [11, 31, 34], 32, 16, [3; 3], [2; 3], [1; 3]),
    (1, [1, 2, 3], 48, 80, [3; 3], [2; 3], [1; 3]),
    (27, [1, 1, 1], 16, 16, [3; 3], [2; 3], [1; 3]),
    // Kernels of one layer, whole and partial tiles, one and more blocks, any padding; strides of two axes.
    (1, [5, 14, 33], 16, 32, [1, 3, 3], [1; 3], [0, 1, 1]),
    (2, [7, 15, 17], 32, 16, [1, 3, 3], [1; 3], [0, 1, 1]),
    (2, [3, 4, 13], 48, 80, [1, 3, 3], [1; 3], [1, 2, 0]),
    (1, [1, 3, 3], 16, 16, [1, 3, 3], [1; 3], [0; 3]),
    (3, [4, 23, 41], 80, 96, [1, 3, 3], [1; 3], [0, 1, 1]),
    (1, [5, 14, 33], 16, 32, [3; 3], [1, 2, 2], [1; 3]),
    (2, [8, 9, 22], 80, 48, [3; 3], [1, 2, 2], [1; 3]),
    (1, [2, 1, 3], 16, 16, [3; 3], [1, 2, 2], [1; 3]),
    // Several parts of a strided weight gradient.
    (1, [43, 40, 44], 16, 16, [3; 3], [2; 3], [1; 3]),
    // Dot products for two and four outputs, and for rows shorter than a tile.
    (1, [3, 6, 9], 2, 32, [3; 3], [1; 3], [1; 3]),
    (2, [3, 4, 5], 16, 4, [3; 3], [1; 3], [1; 3]),
];

type Kernels = (
    fn(&Geometry, &[f32], &[f32], WeightOrder, Option<&[f32]>) -> Vec<f32>,
    fn(&Geometry, &[f32], &[f32], WeightOrder, Option<&[f32]>) -> Vec<f32>,
    fn(&Geometry, &[f32], &[f32], WeightOrder) -> Vec<f32>,
);

const DIRECT: Kernels = (direct::to_coarse, direct::to_fine, direct::weight_gradient);
const STRIDED: Kernels = (
    |g, x, w, order, bias| winograd::to_coarse(Tile::Strided, g, x, w, order, bias),
    |g, x, w, order, bias| winograd::to_fine(Tile::Strided, g, x, w, order, bias),
    |g, fine, coarse, order| winograd::weight_gradient(Tile::Strided, g, fine, coarse, order),
);
const FLAT: [Kernels; 2] = [
    (
        |g, x, w, order, bias| winograd::to_coarse(Tile::FlatTwo, g, x, w, order, bias),
        |g, x, w, order, bias| winograd::to_fine(Tile::FlatTwo, g, x, w, order, bias),
        |g, fine, coarse, order| winograd::weight_gradient(Tile::FlatTwo, g, fine, coarse, order),
    ),
    (
        |g, x, w, order, bias| winograd::to_coarse(Tile::FlatFour, g, x, w, order, bias),
        |g, x, w, order, bias| winograd::to_fine(Tile::FlatFour, g, x, w, order, bias),
        |g, fine, coarse, order| winograd::weight_gradient(Tile::FlatFour, g, fine, coarse, order),
    ),
];
const HALF_STRIDED: Kernels = (
    |g, x, w, order, bias| winograd::to_coarse(Tile::HalfStrided, g, x, w, order, bias),
    |g, x, w, order, bias| winograd::to_fine(Tile::HalfStrided, g, x, w, order, bias),
    |g, fine, coarse, order| winograd::weight_gradient(Tile::HalfStrided, g, fine, coarse, order),
);
const WINOGRAD: [Kernels; 2] = [
    (
        |g, x, w, order, bias| winograd::to_coarse(Tile::Two, g, x, w, order, bias),
        |g, x, w, order, bias| winograd::to_fine(Tile::Two, g, x, w, order, bias),
        |g, fine, coarse, order| winograd::weight_gradient(Tile::Two, g, fine, coarse, order),
    ),
    (
        |g, x, w, order, bias| winograd::to_coarse(Tile::Four, g, x, w, order, bias),
        |g, x, w, order, bias| winograd::to_fine(Tile::Four, g, x, w, order, bias),
        |g, fine, coarse, order| winograd::weight_gradient(Tile::Four, g, fine, coarse, order),
    ),
];

/// The three passes on noise.
fn passes(kernels: Kernels, g: &Geometry, order: WeightOrder) -> [Vec<f32>; 3] {
    let (fine, coarse) = (noise(g.fine_shape(), 1), noise(g.coarse_shape(), 2));
    let weight = noise(order.shape(g), 3);
    let bias = noise([1, 1, 1, 1, g.coarse_channels.max(g.fine_channels)], 4);
    [
        kernels.0(g, &fine, &weight, order, Some(&bias[..g.coarse_channels])),
        kernels.1(g, &coarse, &weight, order, Some(&bias[..g.fine_channels])),
        kernels.2(g, &fine, &coarse, order),
    ]
}

#[test]
fn kernels_agree_with_the_reference_at_every_level() {
    for case in CASES {
        let g = geometry(case);
        for order in [WeightOrder::FineCoarse, WeightOrder::CoarseFine] {
            let expected = passes((reference::to_coarse, reference::to_fine, reference::weight_gradient), &g, order);
            for level in Level::present() {
                for (name, kernels, tile) in [
                    ("direct", DIRECT, None),
                    ("2³ tiles", WINOGRAD[0], Some(Tile::Two)),
                    ("4³ tiles", WINOGRAD[1], Some(Tile::Four)),
                    ("strided tiles", STRIDED, Some(Tile::Strided)),
                    ("flat 2² tiles", FLAT[0], Some(Tile::FlatTwo)),
                    ("flat 4² tiles", FLAT[1], Some(Tile::FlatFour)),
                    ("half-strided tiles", HALF_STRIDED, Some(Tile::HalfStrided)),
                ] {
                    if tile.is_some_and(|tile| !tile.fits(&g)) {
                        continue;
                    }
                    let actual = with_level(level, || passes(kernels, &g, order));
                    for (pass, (actual, expected)) in
                        ["to coarse", "to fine", "weight gradient"].iter().zip(actual.iter().zip(&expected))
                    {
                        assert_close(actual, expected, &format!("{name} {pass} of {case:?}, {order:?}, {level:?}"));
                    }
                }
            }
        }
    }
}

#[test]
fn winograd_is_as_exact_as_it_says() {
    let sizes = |kernel, stride, padding| geometry(&(1, [6, 9, 12], 64, 48, kernel, stride, padding));
    let [plain, strided] = [1, 2].map(|stride| sizes([3; 3], [stride; 3], [1; 3]));
    let (flat, half) = (sizes([1, 3, 3], [1; 3], [0, 1, 1]), sizes([3; 3], [1, 2, 2], [1; 3]));
    let order = WeightOrder::FineCoarse;
    let kinds = [
        (WINOGRAD[0], &plain),
        (WINOGRAD[1], &plain),
        (STRIDED, &strided),
        (FLAT[0], &flat),
        (FLAT[1], &flat),
        (HALF_STRIDED, &half),
    ];
    for ((kernels, g), bound) in kinds.into_iter().zip(WINOGRAD_ERRORS) {
        let expected = passes((reference::to_coarse, reference::to_fine, reference::weight_gradient), g, order);
        for level in Level::present() {
            let actual = with_level(level, || passes(kernels, g, order));
            for (actual, expected) in actual.iter().zip(&expected) {
                let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
                let difference = square(&mut actual.iter().zip(expected).map(|(a, e)| f64::from(*a) - f64::from(*e)));
                let norm = square(&mut expected.iter().map(|e| f64::from(*e)));
                let error = (difference / norm).sqrt();
                assert!(error <= bound, "relative distance {error:e} at {level:?}");
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let order = WeightOrder::FineCoarse;
    let g = geometry(&(2, [9, 35, 33], 16, 16, [3; 3], [1; 3], [1; 3]));
    let wide = geometry(&(2, [6, 8, 10], 32, 96, [3; 3], [1; 3], [1; 3]));
    let strided = geometry(&(2, [35, 34, 33], 16, 32, [3; 3], [2; 3], [1; 3]));
    let flat = geometry(&(2, [9, 35, 33], 16, 96, [1, 3, 3], [1; 3], [0, 1, 1]));
    let half = geometry(&(2, [9, 35, 33], 16, 32, [3; 3], [1, 2, 2], [1; 3]));
    let narrow = geometry(&(2, [9, 12, 13], 2, 32, [3; 3], [1; 3], [1; 3]));
    let one_tap = geometry(&(2, [8, 16, 24], 16, 32, [2; 3], [2; 3], [0; 3]));
    let coarse = noise(g.coarse_shape(), 2);
    let with_threads = |count: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().expect("a small pool");
        pool.install(|| {
            let passes = [
                (DIRECT, &g),
                (DIRECT, &narrow),
                (DIRECT, &one_tap),
                (WINOGRAD[0], &g),
                (WINOGRAD[0], &wide),
                (WINOGRAD[1], &g),
                (WINOGRAD[1], &wide),
                (STRIDED, &strided),
                (FLAT[0], &flat),
                (FLAT[1], &flat),
                (HALF_STRIDED, &half),
            ]
            .map(|(k, g)| passes(k, g, order));
            (passes, cpu::channel_sum(&coarse, 16))
        })
    };
    at_every_level(|| {
        let one = with_threads(1);
        assert!(one == with_threads(1));
        assert!(one == with_threads(2));
        assert!(one == with_threads(3));
    });
}

/// One level at a time, which no other test changes meanwhile.
fn at_every_level(body: impl Fn()) {
    for level in Level::present() {
        with_level(level, &body);
    }
}

#[test]
fn joined_inputs_are_as_if_side_by_side() {
    let tensor = |shape: [usize; 5], seed| Tensor::from_vec(noise(shape, seed), shape.as_slice(), &Device::Cpu);
    let run = |taps: usize, [d, h, w]: [usize; 3], [ca, cb]: [usize; 2]| -> candle_core::Result<()> {
        let padding = [taps / 2, 1, 1];
        let (a, b) = (tensor([2, d, h, w, ca], 1)?, tensor([2, d, h, w, cb], 2)?);
        let (weight, bias) = (tensor([taps, 3, 3, ca + cb, 32], 3)?, Tensor::new(vec![0.5f32; 32], &Device::Cpu)?);
        let expected = conv3d(&concat_channels(&a, &b)?, &weight, Some(&bias), [1; 3], padding)?;
        let joined = conv3d_joined(&a, &b, &weight, Some(&bias), [1; 3], padding)?;
        let values = |y: &Tensor| y.flatten_all()?.to_vec1::<f32>();
        assert_eq!(values(&joined)?, values(&expected)?, "{ca} and {cb} channels");
        let vars = [&a, &b, &weight].map(|tensor| Var::from_tensor(tensor).unwrap());
        let [a, b, weight] = [0, 1, 2].map(|i| vars[i].as_tensor());
        let one_by_one = conv3d(&concat_channels(a, b)?, weight, Some(&bias), [1; 3], padding)?;
        let joined = conv3d_joined(a, b, weight, Some(&bias), [1; 3], padding)?;
        let [expected, actual] =
            [one_by_one, joined].map(|y| (y.sqr().unwrap()).sum_all().unwrap().backward().unwrap());
        for var in &vars {
            let gradient = |store: &GradStore| values(store.get(var).expect("a gradient"));
            assert_close(&gradient(&actual)?, &gradient(&expected)?, &format!("{ca} and {cb} channels, gradient"));
        }
        Ok(())
    };
    at_every_level(|| {
        for channels in [[16, 32], [48, 16], [5, 11], [8, 24]] {
            run(3, [5, 6, 7], channels).unwrap();
            run(1, [5, 6, 7], channels).unwrap();
        }
        run(3, [8, 8, 12], [16, 48]).unwrap();
        run(1, [8, 16, 12], [16, 48]).unwrap();
    });
    let other = tensor([2, 5, 6, 8, 16], 2).unwrap();
    let (a, weight) = (tensor([2, 5, 6, 7, 16], 1).unwrap(), tensor([3, 3, 3, 32, 16], 3).unwrap());
    let error = conv3d_joined(&a, &other, &weight, None, [1; 3], [1; 3]).unwrap_err().to_string();
    assert!(error.contains("the same but for the last dimension"), "{error}");
}

fn geometry(&(batch, fine, fine_channels, coarse_channels, kernel, stride, padding): &Case) -> Geometry {
    let coarse = [0, 1, 2].map(|axis| (fine[axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1);
    Geometry { batch, fine, fine_channels, coarse, coarse_channels, kernel, stride, padding }
}

fn noise(shape: [usize; 5], seed: u32) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let bits = (0..count as u32).map(|i| (i ^ (seed << 24)).wrapping_mul(2_654_435_761));
    bits.map(|bits| ((bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn assert_close(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1f32, |top, value| top.max(value.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= TOLERANCE * scale, "{what}: value {i} is {a}, expected {e} (scale {scale})");
    }
}

#[test]
fn gradients_that_arrive_with_strides_change_nothing() {
    let tensor = |shape: [usize; 5], seed| Tensor::from_vec(noise(shape, seed), shape.as_slice(), &Device::Cpu);
    let run = || -> candle_core::Result<()> {
        let (x, w) = (Var::from_tensor(&tensor([2, 3, 5, 6, 4], 1)?)?, Var::from_tensor(&tensor([3, 3, 3, 4, 7], 2)?)?);
        let factor = tensor([2, 3, 5, 6, 7], 3)?;
        let y = conv3d(&x, &w, None, [1; 3], [1; 3])?;
        let straight = (&y * &factor)?.sum_all()?.backward()?;
        let turned = (y.transpose(1, 4)? * factor.transpose(1, 4)?.contiguous()?)?.sum_all()?.backward()?;
        for var in [&x, &w] {
            let gradient = |store: &GradStore| store.get(var).expect("a gradient").flatten_all()?.to_vec1::<f32>();
            assert_eq!(gradient(&straight)?, gradient(&turned)?);
        }
        Ok(())
    };
    at_every_level(|| run().expect("convolutions of small tensors"));
}
