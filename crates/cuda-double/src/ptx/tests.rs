//! Instructions, a table a kind. Expected values are those of the PTX ISA's own definitions, worked out by hand or in the
//! plain Rust beside them.

use super::block::{Copies, Launch, Order};
use super::fault::Fault;
use super::{Module, launch};

/// A kernel whose threads read 64 bits of `a`, `b` and `c` each and write `d`; `%r` holds halves of words, `%d` long ones.
fn kernel(body: &str) -> String {
    format!(
        ".version 9.0\n.target sm_90a\n.address_size 64\n.extern .shared .align 16 .b8 dynamic[];
         .visible .entry test(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u64 pd) {{
         .reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<40>; .reg .b64 %d<20>; .reg .b32 %t; .reg .b64 %at<9>;
         .reg .f32 %f<20>;
         mov.u32 %t, %tid.x; mul.wide.u32 %at5, %t, 8;
         ld.param.u64 %at1, [pa]; ld.param.u64 %at2, [pb]; ld.param.u64 %at3, [pc]; ld.param.u64 %at4, [pd];
         add.s64 %at1, %at1, %at5; add.s64 %at2, %at2, %at5; add.s64 %at3, %at3, %at5; add.s64 %at4, %at4, %at5;
         ld.global.u64 %d1, [%at1]; ld.global.u64 %d2, [%at2]; ld.global.u64 %d3, [%at3];
         cvt.u32.u64 %r1, %d1; cvt.u32.u64 %r2, %d2; cvt.u32.u64 %r3, %d3;
         cvt.u16.u64 %h1, %d1; cvt.u16.u64 %h2, %d2; cvt.u16.u64 %h3, %d3;
         mov.b32 %f1, %r1; mov.b32 %f2, %r2; mov.b32 %f3, %r3;
         mov.u64 %d0, 0;
         {body}
         st.global.u64 [%at4], %d0;
         ret; }}"
    )
}

/// How a test runs.
pub(super) struct Run {
    pub(super) threads: u32,
    pub(super) dynamic_bytes: usize,
    pub(super) order: Order,
    pub(super) copies: Copies,
}

const WARP: Run = Run { threads: 32, dynamic_bytes: 0, order: Order::First, copies: Copies::Late };

/// Runs a body on `a`, `b` and `c`, each a value a thread, and gives `d`.
pub(super) fn run(setting: &Run, body: &str, [a, b, c]: [&[u64]; 3]) -> Result<Vec<u64>, Fault> {
    let module = Module::load(&kernel(body)).map_err(Fault::new)?;
    let kernel = module.kernel("test").unwrap().map_err(Fault::new)?;
    let count = setting.threads as usize;
    let fill = |values: &[u64]| (0..count).map(|at| values[at % values.len()]).collect::<Vec<_>>();
    let (mut a, mut b, mut c, mut d) = (fill(a), fill(b), fill(c), vec![u64::MAX; count]);
    let range = |list: &mut Vec<u64>| (list.as_mut_ptr() as u64, list.as_mut_ptr() as u64 + list.len() as u64 * 8);
    let mut allocations = [range(&mut a), range(&mut b), range(&mut c), range(&mut d)];
    let parameters: Vec<u8> = allocations.iter().flat_map(|(start, _)| start.to_le_bytes()).collect();
    allocations.sort_unstable();
    launch(
        &Launch {
            kernel: &kernel,
            parameters: &parameters,
            grid: [1; 3],
            block: [setting.threads, 1, 1],
            dynamic_bytes: setting.dynamic_bytes,
            allocations: &allocations,
            order: setting.order,
            copies: setting.copies,
        },
        1,
    )?;
    Ok(std::hint::black_box(d))
}

/// One value from one of each.
fn one(body: &str, a: u64, b: u64, c: u64) -> u64 {
    run(&WARP, body, [&[a], &[b], &[c]]).unwrap()[0]
}

fn bits(x: f32) -> u64 {
    x.to_bits().into()
}

fn half(x: f32) -> u64 {
    half::f16::from_f32(x).to_bits().into()
}

fn brain(x: f32) -> u64 {
    half::bf16::from_f32(x).to_bits().into()
}

#[test]
fn computes_with_words() {
    let negative = |x: i32| u64::from(x as u32);
    let cases: &[(&str, [u64; 3], u64)] = &[
        ("add.s32", [7, negative(-9), 0], negative(-2)),
        ("add.sat.s32", [negative(i32::MAX), 5, 0], negative(i32::MAX)),
        ("sub.u32", [3, 5, 0], negative(-2)),
        ("mul.lo.s32", [negative(-3), 7, 0], negative(-21)),
        ("mul.hi.u32", [0xffff_ffff, 0xffff_ffff, 0], 0xffff_fffe),
        ("mul.hi.s32", [negative(-2), 0x4000_0000, 0], negative(-1)),
        ("div.s32", [negative(-7), 2, 0], negative(-3)),
        ("rem.s32", [negative(-7), 2, 0], negative(-1)),
        ("div.u32", [negative(-7), 2, 0], 0x7fff_fffc),
        ("min.s32", [negative(-7), 2, 0], negative(-7)),
        ("max.u32", [negative(-7), 2, 0], negative(-7)),
        ("and.b32", [12, 10, 0], 8),
        ("or.b32", [12, 10, 0], 14),
        ("xor.b32", [12, 10, 0], 6),
        ("shl.b32", [1, 31, 0], 0x8000_0000),
        ("shl.b32", [1, 32, 0], 0),
        ("shr.u32", [0x8000_0000, 31, 0], 1),
        ("shr.s32", [0x8000_0000, 99, 0], 0xffff_ffff),
    ];
    for (opcode, [a, b, c], want) in cases {
        let body = format!("{opcode} %r4, %r1, %r2; cvt.u64.u32 %d0, %r4;");
        assert_eq!(one(&body, *a, *b, *c), *want, "{opcode}");
    }
    let three: &[(&str, [u64; 3], u64)] = &[
        ("mad.lo.s32", [3, 4, 5], 17),
        ("mad.hi.u32", [0x8000_0000, 4, 5], 7),
        ("prmt.b32", [0x4433_2211, 0x8877_6655, 0x9740], 0x0088_5511),
        ("prmt.b32", [0x80, 0, 0x8888], 0xffff_ffff),
        ("shf.l.wrap.b32", [0x8000_0000, 1, 1], 3),
        ("shf.r.clamp.b32", [0, 1, 32], 1),
        ("bfe.u32", [0xabcd_1234, 8, 8], 0x12),
        ("bfe.s32", [0x0000_8000, 8, 8], 0xffff_ff80),
    ];
    for (opcode, [a, b, c], want) in three {
        let body = format!("{opcode} %r4, %r1, %r2, %r3; cvt.u64.u32 %d0, %r4;");
        assert_eq!(one(&body, *a, *b, *c), *want, "{opcode}");
    }
    let single: &[(&str, u64, u64)] = &[
        ("popc.b32", 0xf0f0, 8),
        ("clz.b32", 1, 31),
        ("brev.b32", 1, 0x8000_0000),
        ("bfind.u32", 0x100, 8),
        ("bfind.u32", 0, 0xffff_ffff),
        ("not.b32", 0, 0xffff_ffff),
        ("neg.s32", 5, negative(-5)),
        ("abs.s32", negative(-5), 5),
        ("cvt.rna.tf32.f32", bits(1.000_976_6), 0x3f80_2000),
    ];
    for (opcode, a, want) in single {
        let body = format!("{opcode} %r4, %r1; cvt.u64.u32 %d0, %r4;");
        assert_eq!(one(&body, *a, 0, 0), *want, "{opcode}");
    }
}

#[test]
fn computes_with_longs_and_halves() {
    let cases: &[(&str, [u64; 3], u64)] = &[
        ("add.s64 %d0, %d1, %d2;", [u64::MAX, 2, 0], 1),
        ("mul.lo.s64 %d0, %d1, %d2;", [1 << 40, 1 << 30, 0], 0),
        ("mul.hi.u64 %d0, %d1, %d2;", [1 << 40, 1 << 30, 0], 1 << 6),
        ("mul.wide.s32 %d0, %r1, %r2;", [0xffff_ffff, 3, 0], (-3i64) as u64),
        ("mad.wide.u32 %d0, %r1, %r2, %d3;", [0xffff_ffff, 2, 2], 0x2_0000_0000),
        ("shl.b64 %d0, %d1, %r2;", [1, 63, 0], 1 << 63),
        ("shr.s64 %d0, %d1, %r2;", [1 << 63, 63, 0], u64::MAX),
        ("div.u64 %d0, %d1, %d2;", [100, 7, 0], 14),
        ("rem.u64 %d0, %d1, %d2;", [100, 7, 0], 2),
        ("mov.b64 %d0, {%r1, %r2};", [1, 2, 0], 0x2_0000_0001),
        ("mov.b64 {%r4, %r5}, %d1; cvt.u64.u32 %d0, %r5;", [0x2_0000_0001, 0, 0], 2),
        ("add.cc.u32 %r4, %r1, %r2; addc.u32 %r5, %r3, 0; cvt.u64.u32 %d0, %r5;", [0xffff_ffff, 1, 6], 7),
        ("sub.cc.u32 %r4, %r1, %r2; subc.u32 %r5, %r3, 0; cvt.u64.u32 %d0, %r5;", [0, 1, 6], 5),
        ("mad.lo.cc.u32 %r4, %r1, %r2, %r3; addc.u32 %r5, 0, 0; cvt.u64.u32 %d0, %r5;", [0xffff_ffff, 1, 1], 1),
        ("bfi.b64 %d0, %d1, %d2, 8, 4;", [0xff, 0, 0], 0xf00),
        ("add.s16 %h4, %h1, %h2; cvt.s64.s16 %d0, %h4;", [0x7fff, 1, 0], (-0x8000i64) as u64),
        ("fma.rn.bf16 %h4, %h1, %h2, %h3; cvt.u64.u16 %d0, %h4;", [brain(1.5), brain(2.0), brain(0.5)], brain(3.5)),
        ("fma.rn.f16 %h4, %h1, %h2, %h3; cvt.u64.u16 %d0, %h4;", [half(1.5), half(2.0), half(0.5)], half(3.5)),
        (
            "cvt.rn.bf16x2.f32 %r4, %f1, %f2; cvt.u64.u32 %d0, %r4;",
            [bits(1.0), bits(-2.0), 0],
            brain(1.0) << 16 | brain(-2.0),
        ),
        (
            "fma.rn.bf16x2 %r4, %r1, %r2, %r3; cvt.u64.u32 %d0, %r4;",
            [brain(2.0) << 16 | brain(3.0), brain(5.0) << 16 | brain(7.0), 0],
            brain(10.0) << 16 | brain(21.0),
        ),
    ];
    for (body, [a, b, c], want) in cases {
        assert_eq!(one(body, *a, *b, *c), *want, "{body}");
    }
}

#[test]
fn computes_with_floats() {
    let tiny = f32::MIN_POSITIVE / 2.0;
    let cases: &[(&str, [f32; 3], f32)] = &[
        ("add.rn.f32 %f4, %f1, %f2", [1.0, f32::EPSILON / 2.0, 0.0], 1.0),
        ("add.rp.f32 %f4, %f1, %f2", [1.0, f32::EPSILON / 4.0, 0.0], 1.0 + f32::EPSILON),
        ("add.rz.f32 %f4, %f1, %f2", [1.0, -f32::EPSILON / 4.0, 0.0], 1.0 - f32::EPSILON / 2.0),
        ("add.ftz.f32 %f4, %f1, %f2", [tiny, 0.0, 0.0], 0.0),
        ("mul.f32 %f4, %f1, %f2", [3.0, -0.5, 0.0], -1.5),
        ("mul.ftz.f32 %f4, %f1, %f2", [f32::MIN_POSITIVE, 0.5, 0.0], 0.0),
        ("fma.rn.f32 %f4, %f1, %f2, %f3", [3.0, 4.0, -11.5], 0.5),
        ("fma.rm.f32 %f4, %f1, %f2, %f3", [1.0, 1.0, f32::EPSILON / 4.0], 1.0),
        ("div.rn.f32 %f4, %f1, %f2", [1.0, 3.0, 0.0], 1.0 / 3.0),
        ("max.f32 %f4, %f1, %f2", [f32::NAN, 3.0, 0.0], 3.0),
        ("min.f32 %f4, %f1, %f2", [-1.0, 3.0, 0.0], -1.0),
        ("sqrt.rn.f32 %f4, %f1", [2.0, 0.0, 0.0], std::f32::consts::SQRT_2),
        ("ex2.approx.ftz.f32 %f4, %f1", [3.0, 0.0, 0.0], 8.0),
        ("rcp.approx.ftz.f32 %f4, %f1", [4.0, 0.0, 0.0], 0.25),
        ("copysign.f32 %f4, %f1, %f2", [-1.0, 3.0, 0.0], -3.0),
        ("cvt.rzi.f32.f32 %f4, %f1", [-1.7, 0.0, 0.0], -1.0),
        ("cvt.rni.f32.f32 %f4, %f1", [2.5, 0.0, 0.0], 2.0),
        ("cvt.sat.f32.f32 %f4, %f1", [1.7, 0.0, 0.0], 1.0),
        ("cvt.rzi.s32.f32 %r4, %f1; cvt.rn.f32.s32 %f4, %r4", [-1e20, 0.0, 0.0], i32::MIN as f32),
        ("cvt.rn.bf16.f32 %h4, %f1; cvt.f32.bf16 %f4, %h4", [1.005, 0.0, 0.0], 1.007_812_5),
    ];
    for (body, [a, b, c], want) in cases {
        let got = one(&format!("{body}; mov.b32 %r4, %f4; cvt.u64.u32 %d0, %r4;"), bits(*a), bits(*b), bits(*c));
        assert_eq!(got, bits(*want), "{body}: {} instead of {want}", f32::from_bits(got as u32));
    }
    let max_nan = "max.NaN.f32 %f4, %f1, %f2; mov.b32 %r4, %f4; cvt.u64.u32 %d0, %r4;";
    assert!(f32::from_bits(one(max_nan, bits(f32::NAN), bits(3.0), 0) as u32).is_nan());
}

#[test]
fn compares_and_chooses() {
    let cases: &[(&str, f32, f32, bool)] = &[
        ("lt.f32", 1.0, 2.0, true),
        ("lt.f32", f32::NAN, 2.0, false),
        ("ltu.f32", f32::NAN, 2.0, true),
        ("neu.f32", 2.0, 2.0, false),
        ("ne.f32", f32::NAN, 2.0, false),
        ("num.f32", 1.0, 2.0, true),
        ("nan.f32", f32::NAN, 2.0, true),
    ];
    for (comparison, a, b, want) in cases {
        let body = format!("setp.{comparison} %p1, %f1, %f2; selp.b64 %d0, 1, 0, %p1;");
        assert_eq!(one(&body, bits(*a), bits(*b), 0) == 1, *want, "{comparison} {a} {b}");
    }
    let both = "setp.gt.s32 %p1|%p2, %r1, %r2; selp.u32 %r4, 2, 0, %p1; @%p2 mov.u32 %r4, 5; cvt.u64.u32 %d0, %r4;";
    assert_eq!([one(both, 3, 1, 0), one(both, 1, 3, 0)], [2, 5]);
    let joined = "setp.eq.s32 %p1, %r1, 1; setp.eq.and.s32 %p2, %r2, 2, !%p1; selp.b64 %d0, 1, 0, %p2;";
    assert_eq!([one(joined, 1, 2, 0), one(joined, 0, 2, 0)], [0, 1]);
    assert_eq!(
        one("set.gt.f32.f32 %f4, %f1, %f2; mov.b32 %r4, %f4; cvt.u64.u32 %d0, %r4;", bits(2.0), bits(1.0), 0),
        bits(1.0)
    );
}

#[test]
fn lanes_part_and_meet_again() {
    // Collatz steps of each lane's number: every lane leaves the loop on its own.
    let body = "mov.u32 %r4, 0;
        $L1: setp.eq.u32 %p1, %r1, 1; @%p1 bra $L4;
        and.b32 %r5, %r1, 1; setp.eq.u32 %p2, %r5, 0; @%p2 bra $L2;
        mad.lo.u32 %r1, %r1, 3, 1; bra $L3;
        $L2: shr.u32 %r1, %r1, 1;
        $L3: add.u32 %r4, %r4, 1; bra $L1;
        $L4: cvt.u64.u32 %d0, %r4;
        shfl.sync.bfly.b32 %r6, %r4, 1, 31, -1; setp.ge.u32 %p3, %r6, %r4; @%p3 bra $L5; add.s64 %d0, %d0, 1000; $L5:";
    let numbers: Vec<u64> = (1..=32).collect();
    let steps = |mut number: u64| {
        let mut count = 0;
        while number != 1 {
            number = if number.is_multiple_of(2) { number / 2 } else { number * 3 + 1 };
            count += 1;
        }
        count
    };
    let want: Vec<u64> = (0..32usize)
        .map(|lane| {
            let (own, other) = (steps(numbers[lane]), steps(numbers[lane ^ 1]));
            if other < own { own + 1000 } else { own }
        })
        .collect();
    assert_eq!(run(&WARP, body, [&numbers, &[0], &[0]]).unwrap(), want);
}

#[test]
fn lanes_work_together() {
    let lanes: Vec<u64> = (0..32).collect();
    let word = |body: &str| format!("{body} cvt.u64.u32 %d0, %r4;");
    let go = |body: &str| run(&WARP, &word(body), [&lanes, &[0], &[0]]).unwrap();
    assert_eq!(
        go("shfl.sync.down.b32 %r4, %r1, 1, 31, -1;"),
        (0..32).map(|l: u64| (l + 1).min(31)).collect::<Vec<_>>()
    );
    assert_eq!(
        go("shfl.sync.up.b32 %r4, %r1, 2, 0, -1;"),
        (0..32).map(|l| if l < 2 { l } else { l - 2 }).collect::<Vec<u64>>()
    );
    assert_eq!(go("shfl.sync.idx.b32 %r4|%p1, %r1, 3, 31, -1;"), [3; 32]);
    // Segments of eight lanes.
    assert_eq!(go("shfl.sync.idx.b32 %r4, %r1, 3, 6175, -1;"), (0..32).map(|l| l / 8 * 8 + 3).collect::<Vec<u64>>());
    assert_eq!(go("setp.lt.u32 %p1, %r1, 5; vote.sync.ballot.b32 %r4, %p1, -1;"), [31; 32]);
    assert_eq!(go("setp.lt.u32 %p1, %r1, 5; vote.sync.any.pred %p2, %p1, -1; selp.u32 %r4, 1, 0, %p2;"), [1; 32]);
    assert_eq!(go("redux.sync.add.s32 %r4, %r1, -1;"), [496; 32]);
    let alone = "setp.lt.u32 %p1, %r1, 16; @%p1 shfl.sync.bfly.b32 %r4, %r1, 1, 31, -1; @%p1 bra $E; $E:";
    let words = run(&WARP, &word(alone), [&lanes, &[0], &[0]]).unwrap_err().to_string();
    assert!(words.contains("never come"), "{words}");
}

#[test]
fn shared_memory_and_barriers() {
    let two_warps = Run { threads: 64, dynamic_bytes: 512, ..WARP };
    let mirror = |barrier: &str| {
        format!(
            "shl.b32 %r4, %t, 3; mov.u32 %r5, dynamic; add.u32 %r5, %r5, %r4; st.shared.u64 [%r5], %d1; {barrier}
             mov.u32 %r6, 504; sub.u32 %r6, %r6, %r4; mov.u32 %r7, dynamic; add.u32 %r7, %r7, %r6; ld.shared.u64 %d0, [%r7];"
        )
    };
    let values: Vec<u64> = (0..64).map(|at| at * 3).collect();
    for order in [Order::First, Order::Last] {
        let setting = Run { order, ..two_warps };
        let got = run(&setting, &mirror("bar.sync 0;"), [&values, &[0], &[0]]).unwrap();
        assert_eq!(got, values.iter().rev().copied().collect::<Vec<_>>());
        let words = run(&setting, &mirror(""), [&values, &[0], &[0]]).unwrap_err().to_string();
        assert!(words.contains("race on shared byte"), "{words}");
    }
    let beyond = "mov.u32 %r5, dynamic; ld.shared.u64 %d0, [%r5+512];";
    let words = run(&two_warps, beyond, [&values, &[0], &[0]]).unwrap_err().to_string();
    assert!(words.contains("shared bytes 512 to 520 of 512"), "{words}");
    let parted = "setp.lt.u32 %p1, %t, 7; @%p1 bra $S; bar.sync 0; bar.sync 1; $S: mov.u64 %d0, 1;";
    let words = run(&two_warps, parted, [&values, &[0], &[0]]);
    assert_eq!(words.unwrap()[63], 1, "threads that ended count no more");
    let stuck = "setp.lt.u32 %p1, %t, 7; @%p1 bra $S; bar.sync 0; bra $T; $S: bar.sync 1; $T:";
    let words = run(&two_warps, stuck, [&values, &[0], &[0]]).unwrap_err().to_string();
    assert!(words.contains("never all meet"), "{words}");
}

#[test]
fn addresses_are_checked() {
    let cases = [
        ("ld.global.u64 %d0, [%at1+4096];", "outside of every allocation"),
        ("ld.global.u32 %r4, [%at1+2];", "not a multiple of 4"),
        ("mov.u64 %d4, 0; st.global.u8 [%d4], %h1;", "outside of every allocation"),
        ("tanh.approx.f64 %d0, %d1; bar.red.popc.u32 %r1, 0, %p1;", "not interpreted"),
    ];
    for (body, words) in cases {
        let found = run(&WARP, body, [&[1], &[2], &[3]]).unwrap_err().to_string();
        assert!(found.contains(words), "{found}");
    }
}

#[test]
fn atomics_add_up() {
    let lanes: Vec<u64> = (0..32).collect();
    let body = "mov.u32 %r5, dynamic; st.shared.u32 [%r5], 0; bar.warp.sync -1; atom.shared.add.u32 %r4, [%r5], %r1;
        bar.warp.sync -1; ld.shared.u32 %r6, [%r5]; cvt.u64.u32 %d0, %r6;";
    let setting = Run { dynamic_bytes: 4, ..WARP };
    assert_eq!(run(&setting, body, [&lanes, &[0], &[0]]).unwrap(), [496; 32]);
    let compare = "mov.u32 %r5, dynamic; st.shared.u32 [%r5], 3; atom.shared.cas.b32 %r4, [%r5], %r1, 99;
        bar.warp.sync -1; ld.shared.u32 %r6, [%r5]; cvt.u64.u32 %d0, %r6;";
    assert_eq!(run(&setting, compare, [&lanes, &[0], &[0]]).unwrap()[0], 99);
}

#[test]
fn copies_arrive_when_they_are_waited_for() {
    let copy = "shl.b32 %r4, %t, 4; mov.u32 %r5, dynamic; add.u32 %r5, %r5, %r4; and.b64 %d4, %at1, -16;
        st.shared.u64 [%r5], 0; cp.async.cg.shared.global [%r5], [%d4], 16; cp.async.commit_group;";
    let read = "and.b32 %r6, %t, 1; shl.b32 %r6, %r6, 3; add.u32 %r6, %r6, %r5; ld.shared.u64 %d0, [%r6];";
    let values: Vec<u64> = (0..32).collect();
    let go = |wait: &str, copies: Copies| {
        let setting = Run { dynamic_bytes: 512, copies, ..WARP };
        run(&setting, &format!("{copy} {wait} {read}"), [&values, &[0], &[0]]).map(|got| got[4])
    };
    for copies in [Copies::Late, Copies::Early] {
        match go("cp.async.wait_group 0;", copies) {
            Ok(value) => assert_eq!(value, 4),
            // The vector's start is a multiple of eight only, where the allocator says so.
            Err(fault) => assert!(fault.to_string().contains("outside"), "{fault}"),
        }
    }
    if let Ok(value) = go("cp.async.wait_group 1;", Copies::Late) {
        assert_eq!(value, 0, "nothing was waited for");
    }
}

/// Every kernel of the files that `PULMOAV_PTX` lists, one folder or file a colon.
#[test]
fn real_kernels_are_understood() {
    let Ok(list) = std::env::var("PULMOAV_PTX") else {
        println!("skipped: PULMOAV_PTX names no files");
        return;
    };
    let mut count = 0;
    let mut unknown = vec![];
    for path in list.split(':').filter(|path| !path.is_empty()) {
        let module = Module::load(&std::fs::read_to_string(path).unwrap()).unwrap();
        for name in module.kernel_names() {
            count += 1;
            match module.kernel(name).unwrap() {
                Ok(kernel) => unknown.extend(kernel.unknown.first().map(|why| format!("{path}: {name}: {why}"))),
                Err(why) => unknown.push(format!("{path}: {name}: {why}")),
            }
        }
    }
    assert!(count > 0, "no kernels in {list}");
    // Sines and powers of f64 call functions, which are not interpreted; nothing of ours computes in f64.
    let all = unknown.len();
    unknown.retain(|why| !why.contains("_f64: "));
    println!("{count} kernels, {} of f64 not understood", all - unknown.len());
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}
