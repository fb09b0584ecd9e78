//! Blocks, a warp's 32 lanes at a time. Of lanes that parted, those at the lowest instruction go first, so that they meet
//! again; each warp goes on until it has to wait for others.

use super::block::{Block, Order};
use super::fault::Fault;
use super::group::UnderWay;
use super::kernel::{Action, Kernel, Outcome};
use super::memory::Pending;
use super::names::Special;
use super::value::{ALL, Registers, WARP};

/// Lanes that stand at one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Group {
    at: usize,
    lanes: u32,
}

/// Lanes that wait at a barrier: its number and how many threads it waits for, all of the block where none is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Waiting {
    group: Group,
    number: u32,
    threads: Option<u32>,
}

/// A warp of a block.
pub(crate) struct Warp {
    pub(crate) number: u8,
    /// Lanes that have a thread.
    pub(crate) lanes: u32,
    ended: u32,
    pub(crate) registers: Registers,
    /// Memory of its threads' own, in words of 16 bytes.
    pub(crate) local: Vec<u128>,
    pub(crate) pending: Pending,
    pub(crate) under_way: UnderWay,
    /// Lanes that can go on, the lowest instruction last.
    groups: Vec<Group>,
    /// Lanes that wait for others of their warp.
    meeting: Vec<Group>,
    /// The meetings that nobody new came to.
    in_vain: Vec<Group>,
    barrier: Vec<Waiting>,
}

impl Warp {
    pub(crate) fn new(kernel: &Kernel, number: usize) -> Warp {
        Warp {
            number: number as u8,
            lanes: 0,
            ended: 0,
            registers: kernel.registers.clone(),
            local: vec![u128::MAX; kernel.local_bytes * WARP / 16],
            pending: Pending::default(),
            under_way: UnderWay::default(),
            groups: vec![],
            meeting: vec![],
            in_vain: vec![],
            barrier: vec![],
        }
    }

    /// Starts the warp in the block at hand. Constants are still in their registers, since nothing writes there.
    fn start(&mut self, block: &Block) {
        let kernel = block.launch.kernel;
        let threads = block.launch.block.iter().product::<u32>() as usize;
        let count = (threads - self.number as usize * WARP).min(WARP);
        self.lanes = if count == WARP { ALL } else { (1 << count) - 1 };
        self.ended = 0;
        self.local.fill(u128::MAX);
        self.pending = Pending::default();
        self.under_way = UnderWay::default();
        self.meeting.clear();
        self.in_vain.clear();
        self.barrier.clear();
        self.groups.clear();
        self.groups.push(Group { at: 0, lanes: self.lanes });
        for (special, word) in &kernel.specials {
            let first = self.number as usize * WARP;
            self.registers.words[*word] = std::array::from_fn(|lane| value_of(*special, block, first, lane as u32));
        }
    }

    /// Runs until no lane can go on.
    fn run(&mut self, block: &mut Block) -> Outcome {
        let body = &block.launch.kernel.body;
        while let Some(group) = self.next() {
            let mut group = group;
            loop {
                let instruction = &body[group.at];
                let active = match instruction.guard {
                    None => group.lanes,
                    Some((predicate, false)) => group.lanes & self.registers.predicates[predicate],
                    Some((predicate, true)) => group.lanes & !self.registers.predicates[predicate],
                };
                let next = match &instruction.action {
                    _ if active == 0 => Some(Group { at: group.at + 1, ..group }),
                    Action::Plain(run) => {
                        run(&mut self.registers, active);
                        Some(Group { at: group.at + 1, ..group })
                    }
                    Action::Touching(run) => {
                        run(self, block, active)
                            .map_err(|fault| self.blame(fault, block, active, &instruction.text))?;
                        Some(Group { at: group.at + 1, ..group })
                    }
                    action => self
                        .control(action, block, group, active)
                        .map_err(|fault| self.blame(fault, block, active, &instruction.text))?,
                };
                let Some(next) = next else { break };
                group = next;
                if self.groups.last().is_some_and(|other| other.at <= group.at) {
                    self.push(group);
                    break;
                }
            }
        }
        Ok(())
    }

    /// What changes who goes on: gives the lanes that do, or nobody.
    fn control(
        &mut self,
        action: &Action,
        block: &mut Block,
        group: Group,
        active: u32,
    ) -> Result<Option<Group>, Fault> {
        let rest = Group { at: group.at + 1, lanes: group.lanes & !active };
        match action {
            Action::Branch(to) if rest.lanes == 0 => return Ok(Some(Group { at: *to, lanes: active })),
            Action::Branch(to) => self.push(Group { at: *to, lanes: active }),
            Action::Switch { index, targets } => self.switch(*index, targets, active)?,
            Action::Exit if !self.under_way.is_empty() => {
                return Err(Fault::new("a thread ends while products of wgmma are under way"));
            }
            Action::Exit => {
                self.ended |= active;
                self.pending.forget(active);
            }
            Action::Trap(why) => return Err(Fault::new(why.as_str())),
            Action::Barrier { number, threads, waits } => {
                let lane = active.trailing_zeros() as usize;
                let threads = threads.map(|word| self.registers.words[word][lane]);
                let number = self.registers.words[*number][lane];
                if !waits {
                    return Err(Fault::new("a barrier that is only arrived at"));
                }
                self.barrier.push(Waiting { group: Group { at: group.at + 1, lanes: active }, number, threads });
            }
            Action::Together(members, run) => {
                let lane = active.trailing_zeros() as usize;
                let members = members.map_or(ALL, |word| self.registers.words[word][lane]) & self.lanes;
                if self.is_complete(Group { at: group.at, lanes: active }, members)? {
                    run(self, block, active)?;
                    return Ok(Some(Group { at: group.at + 1, ..group }));
                }
            }
            Action::Nothing | Action::Plain(_) | Action::Touching(_) => {
                return Ok(Some(Group { at: group.at + 1, ..group }));
            }
        }
        self.push(rest);
        Ok(None)
    }

    /// Whether all members of a meeting are there; else those that are wait for the rest.
    fn is_complete(&mut self, here: Group, members: u32) -> Result<bool, Fault> {
        let missing = members & !here.lanes;
        if missing == 0 {
            self.in_vain.clear();
            return Ok(true);
        }
        if missing & self.ended != 0 || self.in_vain.contains(&here) {
            return Err(Fault::new(format!("it waits for lanes {missing:08x}, which never come")));
        }
        self.meeting.push(here);
        Ok(false)
    }

    fn switch(&mut self, index: usize, targets: &[usize], active: u32) -> Outcome {
        for lane in (0..WARP).filter(|lane| active >> lane & 1 == 1) {
            let to = self.registers.words[index][lane] as usize;
            let at =
                *targets.get(to).ok_or_else(|| Fault::new(format!("a jump to place {to} of {}", targets.len())))?;
            self.push(Group { at, lanes: 1 << lane });
        }
        Ok(())
    }

    /// Adds lanes that can go on to those at the same instruction.
    fn push(&mut self, group: Group) {
        if group.lanes == 0 {
            return;
        }
        let at = self.groups.partition_point(|other| other.at > group.at);
        match self.groups.get_mut(at) {
            Some(other) if other.at == group.at => other.lanes |= group.lanes,
            _ => self.groups.insert(at, group),
        }
    }

    /// The lanes that go first. Once none can, those that wait for others of their warp try again.
    fn next(&mut self) -> Option<Group> {
        if self.groups.is_empty() && !self.meeting.is_empty() {
            let meeting = std::mem::take(&mut self.meeting);
            for group in &meeting {
                self.push(*group);
            }
            self.in_vain = if self.groups.len() == meeting.len() { meeting } else { vec![] };
        }
        self.groups.pop()
    }

    fn blame(&self, fault: Fault, block: &Block, active: u32, text: &str) -> Fault {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        fault.at(format!("block {:?}, warp {}, lanes {active:08x}, at \"{text}\"", block.index, self.number))
    }

    fn is_done(&self) -> bool {
        self.ended == self.lanes
    }
}

/// What a special register holds in a lane of the warp whose first thread is `first`.
fn value_of(special: Special, block: &Block, first: usize, lane: u32) -> u32 {
    let (thread, [x, y, _]) = (first as u32 + lane, block.launch.block);
    let below = (1u32 << lane) - 1;
    match special {
        Special::Thread(0) => thread % x,
        Special::Thread(1) => thread / x % y,
        Special::Thread(_) => thread / (x * y),
        Special::Threads(axis) => block.launch.block[axis as usize],
        Special::Block(axis) => block.index[axis as usize],
        Special::Blocks(axis) => block.launch.grid[axis as usize],
        Special::Lane => lane,
        Special::Warp => (first / WARP) as u32,
        Special::LanesBelow => below,
        Special::LanesUpTo => below | 1 << lane,
        Special::LanesAbove => !(below | 1 << lane),
        Special::LanesFrom => !below,
        Special::ThisLane => 1 << lane,
        Special::DynamicShared => block.launch.dynamic_bytes as u32,
    }
}

/// Runs one block; `warps` are kept from block to block.
pub(crate) fn run_block(block: &mut Block, warps: &mut [Warp]) -> Outcome {
    for warp in &mut *warps {
        warp.start(block);
    }
    loop {
        let count = warps.len();
        for at in 0..count {
            let at = if block.launch.order == Order::First { at } else { count - 1 - at };
            warps[at].run(block)?;
        }
        if warps.iter().all(Warp::is_done) {
            return Ok(());
        }
        open_barriers(block, warps)?;
    }
}

/// Lets go on who waits at a barrier that everybody has come to.
fn open_barriers(block: &mut Block, warps: &mut [Warp]) -> Outcome {
    let alive: u32 = warps.iter().map(|warp| (warp.lanes & !warp.ended).count_ones()).sum();
    let first = warps.iter().flat_map(|warp| &warp.barrier).copied().collect::<Vec<_>>();
    let mut has_opened = false;
    for number in 0..16 {
        let waiting: Vec<_> = first.iter().filter(|waiting| waiting.number == number).collect();
        let Some(threads) = waiting.first().map(|waiting| waiting.threads) else { continue };
        let arrived: u32 = waiting.iter().map(|waiting| waiting.group.lanes.count_ones()).sum();
        if arrived != threads.unwrap_or(alive) {
            continue;
        }
        has_opened = true;
        if threads.is_none() {
            block.meet();
        }
        for warp in &mut *warps {
            let (going, staying) = warp.barrier.iter().partition(|waiting| waiting.number == number);
            warp.barrier = staying;
            let going: Vec<Waiting> = going;
            for waiting in &going {
                warp.push(waiting.group);
            }
        }
    }
    if has_opened { Ok(()) } else { Err(stuck(block, &first, alive)) }
}

fn stuck(block: &Block, waiting: &[Waiting], alive: u32) -> Fault {
    let body = &block.launch.kernel.body;
    let places: Vec<String> = waiting
        .iter()
        .take(4)
        .map(|waiting| {
            format!("{} threads at \"{}\"", waiting.group.lanes.count_ones(), body[waiting.group.at - 1].text)
        })
        .collect();
    Fault::new(format!("block {:?}: {alive} threads never all meet: {}", block.index, places.join(", ")))
}
