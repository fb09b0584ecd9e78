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

    /// Probabilities, and why launches were not recorded.
    fn walk(plan: &Plan, network: &dyn TileNetwork, batch: usize) -> (Vec<f32>, Option<String>) {
        let prepared = prepare(&chest(), plan, &Silent).unwrap();
        let needed = needed(&prepared, plan);
        let (prepared, needed, asked) = (&prepared, &needed, &[0, 1][..]);
        let mirror = Mirror::of(plan, None, asked);
        let search = Search { prepared, lying: None, needed, plan, asked, mirror };
        let shown = Shown { tile: [16; 3], batch };
        let Walked { found, refused } = find(search, shown, &[network], &Silent).unwrap();
        (found.into_host().unwrap().values, refused)
    }

    #[test]
    fn groups_that_are_one_launch_answer_as_those_that_are_many() {
        let Some(device) = device() else { return };
        let mut plan = plan();
        plan.tiles.mirror = true;
        // Two models, one after the other and again.
        let made = [7, 8].map(|seed| network(&plan, seed, &device, "f32"));
        let networks = [0, 1, 0].map(|at| PromptedNetwork::new(&made[at], &plan).unwrap());
        // The last group is smaller in most cases.
        let mut before: Vec<Vec<f32>> = vec![];
        for network in &networks {
            let (plain, _) = walk(&plan, &Plainly(network), 1);
            for batch in [1, 4, 5] {
                let (found, refused) = walk(&plan, network, batch);
                assert_eq!(refused, None);
                assert!(found == plain, "{batch} at a time");
            }
            before.push(plain);
        }
        assert!(before[0] == before[2] && before[0] != before[1]);
    }

    #[test]
    fn other_precisions_are_recorded_too() {
        let Some(device) = device() else { return };
        let plan = plan();
        for precision in ["bf16", "tf32"] {
            let made = network(&plan, 7, &device, precision);
            let network = PromptedNetwork::new(&made, &plan).unwrap();
            let (found, refused) = walk(&plan, &network, 4);
            assert_eq!(refused, None);
            assert!(found == walk(&plan, &Plainly(&network), 4).0, "{precision}");
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
