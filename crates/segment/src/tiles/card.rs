//! Tests of tiles on a card: groups that are one launch, beside those that are many.

mod tests {
    use candle_core::{Device, Tensor};
    use pulmoav_model::{Network, Parameters};
    use pulmoav_ops::device::{Choice, Compute, choose, to_host};
    use pulmoav_plan::Plan;
    use pulmoav_task::Silent;

    use super::super::*;
    use crate::fixture::{self, chest, plan};
    use crate::prepare::prepare;

    const TILE: [usize; 3] = [8; 3];
    /// In groups of two, three are whole.
    const TILES: usize = 7;

    /// As a run opens it: nothing orders streams but what the program says.
    fn device() -> Option<Device> {
        fixture::card().map(|_| choose(Choice::Cuda(0)).unwrap().device)
    }

    fn network(plan: &Plan, seed: u64, device: &Device, precision: &str) -> Network {
        let mut made = Parameters::new(seed);
        Network::build(plan, &mut made).unwrap();
        let compute = Compute::named(device, precision).unwrap();
        Network::build(plan, &mut made.on(&compute).unwrap()).unwrap()
    }

    /// The same network, launch by launch.
    struct Plainly<'a>(&'a dyn TileNetwork);

    impl TileNetwork for Plainly<'_> {
        fn device(&self) -> Device {
            self.0.device()
        }

        fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
            self.0.logits(tiles, asked)
        }
    }

    /// A network that looks at its tiles on the host, but says that it does not.
    struct Lying<'a>(&'a PromptedNetwork<'a>);

    impl TileNetwork for Lying<'_> {
        fn device(&self) -> Device {
            self.0.device()
        }

        fn is_launches_alone(&self) -> bool {
            true
        }

        fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
            let first = f64::from(to_host(&tiles)?[0]);
            Ok((self.0.logits(tiles, asked)? + first)?)
        }
    }

    /// Probabilities in a row of small tiles, and why launches were not recorded.
    fn walk(plan: &Plan, network: &dyn TileNetwork, batch: usize) -> (Vec<f32>, Option<String>) {
        let prepared = prepare(&chest(), plan, &Silent).unwrap();
        let (needed, asked) = (row(prepared.shape), &[0, 1][..]);
        let mirror = Mirror::of(plan, None, asked);
        let search = Search { prepared: &prepared, lying: None, needed: &needed, plan, asked, mirror };
        let Walked { found, refused } = find(search, Shown { tile: TILE, batch }, &[network], &Silent).unwrap();
        (found.into_host().unwrap().values, refused)
    }

    /// What `TILES` tiles that overlap by half look at, in the middle of the grid.
    fn row([depth, height, width]: [usize; 3]) -> Needed {
        let mut mask = vec![0; depth * height * width];
        let row = &mut mask[(depth / 2 * height + height / 2) * width..][..width];
        row[..TILE[2] / 2 * (TILES + 1)].fill(1);
        Needed::of(&mask, [depth, height, width])
    }

    #[test]
    fn groups_that_are_one_launch_answer_as_those_that_are_many() {
        let Some(device) = device() else { return };
        let mut plan = plan();
        plan.tiles.mirror = true;
        let made = [7, 8].map(|seed| network(&plan, seed, &device, "f32"));
        let [first, second] = [0, 1].map(|at| PromptedNetwork::new(&made[at], &plan).unwrap());
        let plain = [&first, &second].map(|network| walk(&plan, &Plainly(network), 1).0);
        assert!(plain[0] != plain[1]);
        // One model after the other and again; the last group is a smaller one where two tiles go together.
        for (network, plain, batch) in [(&first, &plain[0], 1), (&second, &plain[1], 2), (&first, &plain[0], 2)] {
            let (found, refused) = walk(&plan, network, batch);
            assert_eq!(refused, None);
            assert!(&found == plain, "{batch} at a time");
        }
    }

    #[test]
    fn other_precisions_are_recorded_too() {
        let Some(device) = device() else { return };
        let plan = plan();
        for precision in ["bf16", "tf32"] {
            let made = network(&plan, 7, &device, precision);
            let network = PromptedNetwork::new(&made, &plan).unwrap();
            let (found, refused) = walk(&plan, &network, 2);
            assert_eq!(refused, None);
            assert!(found == walk(&plan, &Plainly(&network), 2).0, "{precision}");
        }
    }

    #[test]
    fn what_cannot_be_recorded_is_told_and_answered() {
        let Some(device) = device() else { return };
        let plan = plan();
        let made = network(&plan, 7, &device, "f32");
        let network = PromptedNetwork::new(&made, &plan).unwrap();
        let lying = Lying(&network);
        let (found, refused) = walk(&plan, &lying, 2);
        assert!(refused.is_some_and(|why| why.contains("capture")));
        assert!(found == walk(&plan, &Plainly(&lying), 2).0);
    }
}
