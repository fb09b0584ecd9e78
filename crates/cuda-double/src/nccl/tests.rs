use super::*;

#[test]
fn reductions_go_by_rank() {
    let values = [1.5f64, 2.5, -1.0];
    let of = |number: i32| Reduction::of(number).unwrap().of_values(values.into_iter(), false);
    assert_eq!([of(0), of(2), of(3), of(4)], [3.0, 2.5, -1.0, 1.0]);
}

#[test]
fn a_rank_alone_gets_its_own_values_back() {
    let name = room::name().unwrap();
    let room = Room::join(&name, 1, 0).unwrap();
    let member = Member { room, rank: 0, is_broken: AtomicU32::new(0) };
    let count = room::SLOT_BYTES / 4 + 7; // more than one piece
    let from: Vec<f32> = (0..count).map(|at| at as f32).collect();
    let mut to = vec![0f32; count];
    let buffers = Buffers { from: from.as_ptr() as u64, to: to.as_mut_ptr() as u64, count, element: Element::F32 };
    member.run(Collective::Reduce(Reduction::Sum), buffers).unwrap();
    assert_eq!(std::hint::black_box(to), from);
}

#[test]
fn a_rank_that_died_is_an_error() {
    let name = room::name().unwrap();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let other = child.id();
    let waiting = std::thread::spawn(move || Room::join(&name, 2, 0).err().map(|Gone(why)| why));
    std::thread::sleep(std::time::Duration::from_millis(20));
    room::pretend(&name, 1, other);
    child.wait().unwrap();
    assert_eq!(waiting.join().unwrap().as_deref(), Some("rank 1 is gone"));
}
