//! What lanes of a warp do together: shuffles, votes, reductions.

use super::decode::Decoded;
use super::fault::Fault;
use super::kernel::Action;
use super::map::put_predicate;
use super::names::Names;
use super::source::Statement;
use super::value::{Bank, Cell, Type, WARP};

fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..WARP).filter(move |lane| mask >> lane & 1 == 1)
}

/// `shfl.sync.MODE.b32 d{|p}, a, b, c, members`.
pub(crate) fn shuffle(statement: &Statement, names: &mut Names) -> Decoded {
    let mode = statement.choice(&["up", "down", "bfly", "idx"]).ok_or("no mode")?;
    let (d, p) = statement.argument(0)?.split_once('|').unwrap_or((statement.argument(0)?, ""));
    let d = names.target(d.trim(), Bank::Word)?;
    let p = if p.is_empty() { None } else { Some(names.target(p.trim(), Bank::Predicate)?) };
    let mut word = |at: usize| names.source(statement.argument(at)?, Bank::Word);
    let (value, by, clamp, members) = (word(1)?, word(2)?, word(3)?, word(4)?);
    Ok(Action::Together(
        Some(members),
        Box::new(move |warp, _, mask| {
            let words = &warp.registers.words;
            let (mut values, mut inside) = ([0; WARP], 0);
            for lane in lanes(mask) {
                let (by, clamp) = ((words[by][lane] & 31) as usize, words[clamp][lane]);
                let (segment, clamp) = ((clamp >> 8 & 31) as usize, (clamp & 31) as usize);
                let (most, least) = (lane & segment | clamp & !segment, lane & segment);
                let (from, is_inside) = match mode {
                    "up" => (lane.wrapping_sub(by), lane >= by + most),
                    "down" => (lane + by, lane + by <= most),
                    "bfly" => (lane ^ by, lane ^ by <= most),
                    _ => (least | by & !segment, least | by & !segment <= most),
                };
                let is_inside = if mode == "idx" { (least | by & !segment) <= most } else { is_inside };
                let from = if is_inside { from } else { lane };
                if mask >> from & 1 == 0 {
                    return Err(Fault::new(format!("lane {lane} takes from lane {from}, which does not take part")));
                }
                values[lane] = words[value][from];
                inside |= u32::from(is_inside) << lane;
            }
            u32::put(&mut warp.registers, d, mask, &values);
            if let Some(p) = p {
                put_predicate(&mut warp.registers, p, mask, inside);
            }
            Ok(())
        }),
    ))
}

/// `vote.sync.{all,any,uni,ballot} d, p, members`.
pub(crate) fn vote(statement: &Statement, names: &mut Names) -> Decoded {
    let mode = statement.choice(&["all", "any", "uni", "ballot"]).ok_or("no mode")?;
    let text = statement.argument(1)?;
    let negated = text.strip_prefix('!');
    let p = names.source(negated.unwrap_or(text), Bank::Predicate)?;
    let flip = if negated.is_some() { u32::MAX } else { 0 };
    let members = Some(names.source(statement.argument(2)?, Bank::Word)?);
    if mode == "ballot" {
        let d = names.target(statement.argument(0)?, Bank::Word)?;
        return Ok(Action::Together(
            members,
            Box::new(move |warp, _, mask| {
                let votes = (warp.registers.predicates[p] ^ flip) & mask;
                u32::put(&mut warp.registers, d, mask, &[votes; WARP]);
                Ok(())
            }),
        ));
    }
    let d = names.target(statement.argument(0)?, Bank::Predicate)?;
    Ok(Action::Together(
        members,
        Box::new(move |warp, _, mask| {
            let votes = (warp.registers.predicates[p] ^ flip) & mask;
            let outcome = match mode {
                "all" => votes == mask,
                "any" => votes != 0,
                _ => votes == mask || votes == 0,
            };
            put_predicate(&mut warp.registers, d, mask, if outcome { u32::MAX } else { 0 });
            Ok(())
        }),
    ))
}

/// `redux.sync.OP.TYPE d, a, members`.
pub(crate) fn reduce(statement: &Statement, names: &mut Names) -> Decoded {
    let f: fn(u32, u32) -> u32 = match (statement.words.get(1).copied(), statement.kind()?) {
        (Some("add"), _) => u32::wrapping_add,
        (Some("and"), _) => |x, y| x & y,
        (Some("or"), _) => |x, y| x | y,
        (Some("xor"), _) => |x, y| x ^ y,
        (Some("min"), Type::U32) => u32::min,
        (Some("max"), Type::U32) => u32::max,
        (Some("min"), Type::S32) => |x, y| (x as i32).min(y as i32) as u32,
        (Some("max"), Type::S32) => |x, y| (x as i32).max(y as i32) as u32,
        _ => return Err("this reduction".to_owned()),
    };
    let d = names.target(statement.argument(0)?, Bank::Word)?;
    let a = names.source(statement.argument(1)?, Bank::Word)?;
    let members = names.source(statement.argument(2)?, Bank::Word)?;
    Ok(Action::Together(
        Some(members),
        Box::new(move |warp, _, mask| {
            let values = &warp.registers.words[a];
            let outcome = lanes(mask).map(|lane| values[lane]).reduce(f).unwrap_or(0);
            u32::put(&mut warp.registers, d, mask, &[outcome; WARP]);
            Ok(())
        }),
    ))
}

/// `bar.warp.sync members`: they wait for each other, no more.
pub(crate) fn meet(statement: &Statement, names: &mut Names) -> Decoded {
    let members = names.source(statement.argument(0)?, Bank::Word)?;
    Ok(Action::Together(Some(members), Box::new(|_, _, _| Ok(()))))
}

/// `activemask d`.
pub(crate) fn active(statement: &Statement, names: &mut Names) -> Decoded {
    let d = names.target(statement.argument(0)?, Bank::Word)?;
    Ok(Action::Plain(Box::new(move |registers, mask| u32::put(registers, d, mask, &[mask; WARP]))))
}

/// `elect.sync d|p, members`: the lowest lane is chosen.
pub(crate) fn elect(statement: &Statement, names: &mut Names) -> Decoded {
    let (d, p) = statement.argument(0)?.split_once('|').ok_or("two results are expected")?;
    let (d, p) = (names.target(d.trim(), Bank::Word)?, names.target(p.trim(), Bank::Predicate)?);
    let members = names.source(statement.argument(1)?, Bank::Word)?;
    Ok(Action::Together(
        Some(members),
        Box::new(move |warp, _, mask| {
            let leader = mask.trailing_zeros();
            u32::put(&mut warp.registers, d, mask, &[leader; WARP]);
            put_predicate(&mut warp.registers, p, mask, 1 << leader);
            Ok(())
        }),
    ))
}
