//! The tensors of nnU-Net's U-Nets: canonical names, shapes and axes in its files, and what stands there twice.

use pulmoav_plan::{Network, Unet};

/// How a tensor's axes stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[c]`
    Vector,
    /// `[out, in, z, y, x]`
    Conv,
    /// `[in, out, z, y, x]`
    UpConv,
}

/// A tensor of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// Its shape in the file.
    pub(super) shape: Vec<usize>,
    pub(super) layout: Layout,
    /// Whether the answer depends on it; the coarser scales' heads are for training alone.
    pub(super) used: bool,
}

/// Every tensor of a network with so many input channels; names are the same with us.
pub(super) fn wanted(network: &Network, channels: usize) -> Vec<Wanted> {
    let mut list = List(Vec::new());
    match network {
        Network::PlainUnet(unet) => {
            list.plain(unet, channels);
            list.decoder(unet);
        }
        Network::ResidualUnet(unet) => {
            list.residual(unet, channels);
            list.decoder(unet);
        }
        Network::LaCaf(_) | Network::Pulmoav(_) => {}
    }
    list.0
}

/// The canonical name of what stands in the file under another one too: a block's list of its parts, the encoder
/// inside the decoder. `None` if the name is canonical.
pub(super) fn canonical(name: &str) -> Option<String> {
    let inner = name.strip_prefix("decoder.").filter(|rest| rest.starts_with("encoder."));
    let outer = inner.unwrap_or(name);
    let Some((block, part)) = outer.split_once(".all_modules.") else { return inner.map(str::to_owned) };
    let (place, parameter) = part.split_once('.')?;
    // The convolution stands first; dropout and activation, which have no tensors, may stand before the norm.
    let module = if place == "0" { "conv" } else { "norm" };
    Some(format!("{block}.{module}.{parameter}"))
}

struct List(Vec<Wanted>);

impl List {
    fn add(&mut self, name: String, shape: Vec<usize>, layout: Layout) {
        self.0.push(Wanted { name, shape, layout, used: true });
    }

    fn conv(&mut self, name: &str, [channels_in, channels_out]: [usize; 2], kernel: [usize; 3], bias: bool) {
        let [kd, kh, kw] = kernel;
        self.add(format!("{name}.weight"), vec![channels_out, channels_in, kd, kh, kw], Layout::Conv);
        if bias {
            self.add(format!("{name}.bias"), vec![channels_out], Layout::Vector);
        }
    }

    /// A convolution and its norm.
    fn unit(&mut self, name: &str, channels: [usize; 2], kernel: [usize; 3], bias: bool) {
        self.conv(&format!("{name}.conv"), channels, kernel, bias);
        for parameter in ["weight", "bias"] {
            self.add(format!("{name}.norm.{parameter}"), vec![channels[1]], Layout::Vector);
        }
    }

    fn plain(&mut self, unet: &Unet, channels: usize) {
        let mut width = channels;
        for (stage, (&channels, &count)) in unet.stage_channels.iter().zip(&unet.stage_blocks).enumerate() {
            for place in 0..count {
                let name = format!("encoder.stages.{stage}.0.convs.{place}");
                self.unit(&name, [width, channels], unet.kernels[stage], unet.conv_bias);
                width = channels;
            }
        }
    }

    fn residual(&mut self, unet: &Unet, channels: usize) {
        let mut width = unet.stage_channels[0];
        self.unit("encoder.stem.convs.0", [channels, width], unet.kernels[0], unet.conv_bias);
        for (stage, (&channels, &count)) in unet.stage_channels.iter().zip(&unet.stage_blocks).enumerate() {
            let (kernel, bias) = (unet.kernels[stage], unet.conv_bias);
            for place in 0..count {
                let name = format!("encoder.stages.{stage}.blocks.{place}");
                self.unit(&format!("{name}.conv1"), [width, channels], kernel, bias);
                self.unit(&format!("{name}.conv2"), [channels; 2], kernel, bias);
                if width != channels {
                    // Behind the pool, where there is one.
                    let place = usize::from(unet.strides[stage] != [1; 3] && place == 0);
                    self.unit(&format!("{name}.skip.{place}"), [width, channels], [1; 3], false);
                }
                width = channels;
            }
        }
    }

    fn decoder(&mut self, unet: &Unet) {
        let stages = unet.decoder_blocks.len();
        for (step, &count) in unet.decoder_blocks.iter().enumerate() {
            let stage = stages - 1 - step;
            let (coarse, fine) = (unet.stage_channels[stage + 1], unet.stage_channels[stage]);
            let [kd, kh, kw] = unet.strides[stage + 1];
            let up = format!("decoder.transpconvs.{step}");
            self.add(format!("{up}.weight"), vec![coarse, fine, kd, kh, kw], Layout::UpConv);
            if unet.conv_bias {
                self.add(format!("{up}.bias"), vec![fine], Layout::Vector);
            }
            for place in 0..count {
                let width = if place == 0 { 2 * fine } else { fine };
                let name = format!("decoder.stages.{step}.convs.{place}");
                self.unit(&name, [width, fine], unet.kernels[stage], unet.conv_bias);
            }
            let first = self.0.len();
            self.conv(&format!("decoder.seg_layers.{step}"), [fine, unet.outputs], [1; 3], true);
            self.0[first..].iter_mut().for_each(|head| head.used = step + 1 == stages);
        }
    }
}

impl Layout {
    /// From the file's axes to ours, `[z, y, x, in, out]`.
    pub(super) fn ours(self, values: Vec<f32>, shape: &[usize]) -> (Vec<f32>, Vec<usize>) {
        let (&[first, second, kd, kh, kw], false) = (shape, self == Self::Vector) else {
            return (values, shape.to_vec());
        };
        let taps = kd * kh * kw;
        let (channels_in, channels_out) = if self == Self::Conv { (second, first) } else { (first, second) };
        let mut ours = vec![0.0; values.len()];
        for i in 0..channels_in {
            for o in 0..channels_out {
                let row = if self == Self::Conv { o * channels_in + i } else { i * channels_out + o };
                for (tap, value) in values[row * taps..][..taps].iter().enumerate() {
                    ours[(tap * channels_in + i) * channels_out + o] = *value;
                }
            }
        }
        (ours, vec![kd, kh, kw, channels_in, channels_out])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stand_twice_have_one_canonical_name() {
        let cases = [
            ("encoder.stages.0.0.convs.1.conv.weight", None),
            ("decoder.transpconvs.0.weight", None),
            ("encoder.stages.0.0.convs.1.all_modules.0.weight", Some("encoder.stages.0.0.convs.1.conv.weight")),
            ("encoder.stages.0.0.convs.1.all_modules.2.bias", Some("encoder.stages.0.0.convs.1.norm.bias")),
            ("decoder.encoder.stem.convs.0.norm.weight", Some("encoder.stem.convs.0.norm.weight")),
            ("decoder.encoder.stem.convs.0.all_modules.1.weight", Some("encoder.stem.convs.0.norm.weight")),
            ("decoder.stages.0.convs.0.all_modules.0.bias", Some("decoder.stages.0.convs.0.conv.bias")),
        ];
        for (name, wanted) in cases {
            assert_eq!(canonical(name).as_deref(), wanted, "{name}");
        }
    }

    #[test]
    fn axes_are_turned() {
        // value = 100 · out + 10 · in + tap
        let conv: Vec<f32> =
            (0..2).flat_map(|o| (0..3).flat_map(move |i| (0..2).map(move |t| (100 * o + 10 * i + t) as f32))).collect();
        let (ours, shape) = Layout::Conv.ours(conv, &[2, 3, 1, 1, 2]);
        assert_eq!(shape, [1, 1, 2, 3, 2]);
        assert_eq!(ours, [0.0, 100.0, 10.0, 110.0, 20.0, 120.0, 1.0, 101.0, 11.0, 111.0, 21.0, 121.0]);
        // value = 100 · in + 10 · out
        let up: Vec<f32> = (0..2).flat_map(|i| (0..3).map(move |o| (100 * i + 10 * o) as f32)).collect();
        let (ours, shape) = Layout::UpConv.ours(up.clone(), &[2, 3, 1, 1, 1]);
        assert_eq!((ours, shape), (up, vec![1, 1, 1, 2, 3]));
        assert_eq!(Layout::Vector.ours(vec![1.0, 2.0], &[2]), (vec![1.0, 2.0], vec![2]));
    }
}
