//! The network that a configuration describes, in either format.

use pulmoav_plan::{Network, Unet};
use serde_json::Value;

use super::document::Place;
use super::error::FolderError;

/// Networks that are built here.
const SUPPORTED: &str = "PlainConvUNet and ResidualEncoderUNet";
/// Norms' eps where nothing is said, PyTorch's.
const EPS: f64 = 1e-5;
/// Leaky ReLU's slope where nothing is said, PyTorch's.
const SLOPE: f64 = 0.01;
/// Names of arguments that change nothing at inference.
const IDLE: [&str; 5] = ["dropout_op", "dropout_op_kwargs", "deep_supervision", "num_classes", "input_channels"];
/// Names of arguments that are read.
const READ: [&str; 13] = [
    "n_stages",
    "features_per_stage",
    "conv_op",
    "kernel_sizes",
    "strides",
    "n_conv_per_stage",
    "n_blocks_per_stage",
    "n_conv_per_stage_decoder",
    "conv_bias",
    "norm_op",
    "norm_op_kwargs",
    "nonlin",
    "nonlin_kwargs",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Residual,
}

/// The network of a configuration, with so many output channels.
pub(super) fn network(configuration: &Place, outputs: usize) -> Result<Network, FolderError> {
    let (kind, unet) = match configuration.find("architecture") {
        Some(architecture) => described(&architecture, outputs)?,
        None => before_2024(configuration, outputs)?,
    };
    Ok(match kind {
        Kind::Plain => Network::PlainUnet(unet),
        Kind::Residual => Network::ResidualUnet(unet),
    })
}

fn kind(name: &Place) -> Result<Kind, FolderError> {
    match name.last_name()? {
        "PlainConvUNet" => Ok(Kind::Plain),
        "ResidualEncoderUNet" => Ok(Kind::Residual),
        _ => Err(name.unsupported(SUPPORTED)),
    }
}

/// Plans of nnU-Net 2.4 and newer: a class and its arguments.
fn described(architecture: &Place, outputs: usize) -> Result<(Kind, Unet), FolderError> {
    let kind = kind(&architecture.get("network_class_name")?)?;
    let arguments = architecture.get("arch_kwargs")?;
    check_names(&arguments, kind)?;
    let operator = arguments.get("conv_op")?;
    if operator.last_name()? != "Conv3d" {
        return Err(operator.unsupported("Conv3d"));
    }
    let stages = arguments.get("n_stages")?;
    let count = stages.count()?;
    if !(2..=10).contains(&count) {
        return Err(stages.unsupported("2 to 10 stages"));
    }
    let blocks = if kind == Kind::Plain { "n_conv_per_stage" } else { "n_blocks_per_stage" };
    let first = arguments.find("nonlin_first").map_or(Ok(false), |first| first.flag())?;
    let unet = Unet {
        stage_channels: numbers(&arguments.get("features_per_stage")?, count)?,
        kernels: triples(&arguments.get("kernel_sizes")?, count)?,
        strides: triples(&arguments.get("strides")?, count)?,
        stage_blocks: numbers(&arguments.get(blocks)?, count)?,
        decoder_blocks: numbers(&arguments.get("n_conv_per_stage_decoder")?, count - 1)?,
        conv_bias: arguments.find("conv_bias").map_or(Ok(false), |bias| bias.flag())?,
        norm_eps: norm_eps(&arguments)?,
        negative_slope: negative_slope(&arguments)?,
        activation_first: first,
        outputs,
    };
    check_kernels(&arguments.get("kernel_sizes")?, &unet)?;
    Ok((kind, unet))
}

/// Refuses arguments that would make another network.
fn check_names(arguments: &Place, kind: Kind) -> Result<(), FolderError> {
    let Value::Object(entries) = arguments.value() else { return Err(arguments.wrong("an object")) };
    for name in entries.keys() {
        let known = READ.contains(&name.as_str()) || IDLE.contains(&name.as_str());
        let known = known || (kind == Kind::Plain && name == "nonlin_first");
        if let Some(argument) =
            arguments.find(name).filter(|argument| !known && *argument.value() != Value::Bool(false))
        {
            return Err(argument.unsupported("the arguments that nnU-Net's own planners write"));
        }
    }
    Ok(())
}

fn norm_eps(arguments: &Place) -> Result<f64, FolderError> {
    let norm = arguments.get("norm_op")?;
    if norm.last_name()? != "InstanceNorm3d" {
        return Err(norm.unsupported("InstanceNorm3d"));
    }
    let options = arguments.get("norm_op_kwargs")?;
    let affine = options.get("affine")?;
    if !affine.flag()? {
        return Err(affine.unsupported("true"));
    }
    if let Some(tracked) = options.find("track_running_stats")
        && tracked.flag()?
    {
        return Err(tracked.unsupported("false"));
    }
    options.find("eps").map_or(Ok(EPS), |eps| eps.number())
}

fn negative_slope(arguments: &Place) -> Result<f64, FolderError> {
    let activation = arguments.get("nonlin")?;
    match activation.last_name()? {
        "ReLU" => Ok(0.0),
        "LeakyReLU" => {
            let slope = arguments.find("nonlin_kwargs").and_then(|options| options.find("negative_slope"));
            slope.map_or(Ok(SLOPE), |slope| slope.number())
        }
        _ => Err(activation.unsupported("LeakyReLU and ReLU")),
    }
}

/// Plans of before 2024: the numbers stand in the configuration, the rest is fixed.
fn before_2024(configuration: &Place, outputs: usize) -> Result<(Kind, Unet), FolderError> {
    let kind = kind(&configuration.get("UNet_class_name")?)?;
    let blocks = configuration.get("n_conv_per_stage_encoder")?;
    let stage_blocks = blocks.counts()?;
    let count = stage_blocks.len();
    if !(2..=10).contains(&count) {
        return Err(blocks.unsupported("2 to 10 stages"));
    }
    let base = configuration.get("UNet_base_num_features")?.count()?;
    let most = configuration.get("unet_max_num_features")?.count()?;
    let unet = Unet {
        stage_channels: (0..count).map(|stage| base.saturating_mul(1 << stage).min(most)).collect(),
        kernels: triples(&configuration.get("conv_kernel_sizes")?, count)?,
        strides: triples(&configuration.get("pool_op_kernel_sizes")?, count)?,
        stage_blocks,
        decoder_blocks: numbers(&configuration.get("n_conv_per_stage_decoder")?, count - 1)?,
        conv_bias: true,
        norm_eps: EPS,
        negative_slope: SLOPE,
        activation_first: false,
        outputs,
    };
    check_kernels(&configuration.get("conv_kernel_sizes")?, &unet)?;
    Ok((kind, unet))
}

/// Padding keeps the size for odd kernels only.
fn check_kernels(place: &Place, unet: &Unet) -> Result<(), FolderError> {
    if unet.kernels.iter().flatten().all(|edge| edge % 2 == 1) {
        return Ok(());
    }
    Err(place.unsupported("odd edges"))
}

/// A number a stage, or one for all.
fn numbers(place: &Place, stages: usize) -> Result<Vec<usize>, FolderError> {
    if place.value().is_number() {
        return Ok(vec![place.count()?; stages]);
    }
    let numbers = place.counts()?;
    if numbers.len() == stages { Ok(numbers) } else { Err(place.wrong(format!("{stages} numbers"))) }
}

/// A number an axis for every stage; one number stands for all axes, or for all stages.
fn triples(place: &Place, stages: usize) -> Result<Vec<[usize; 3]>, FolderError> {
    if place.value().is_number() {
        return Ok(vec![[place.count()?; 3]; stages]);
    }
    let list = place.list()?;
    if list.len() != stages {
        return Err(place.wrong(format!("{stages} entries, one a stage")));
    }
    let axes =
        |place: &Place| if place.value().is_number() { Ok([place.count()?; 3]) } else { place.axes(Place::count) };
    list.iter().map(axes).collect()
}
