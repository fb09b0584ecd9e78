//! Pulmonary arteries: trunk and main arteries, then one artery beside every bronchus.

use crate::bronchi::Bronchi;
use crate::calibre::Calibre;
use crate::chest::{Chest, Lobe};
use crate::growth::{Tree, joined_radius_mm};
use crate::point::{Point, at};
use crate::random::Random;
use crate::tubes::Tubes;

/// On which side of its bronchus a lobe's artery starts.
const fn beside(lobe: Lobe) -> Point {
    match lobe {
        Lobe::RightUpper => at(0.2, 0.8, 0.4),
        Lobe::RightMiddle => at(0.6, 0.2, 0.7),
        Lobe::RightLower => at(0.9, 0.4, 0.1),
        Lobe::LeftUpper => at(-0.2, -0.3, 0.9),
        Lobe::LeftLower => at(-0.85, -0.4, 0.2),
    }
}

/// The arteries of one chest, with the wall of each a little apart from its bronchus.
pub(crate) fn grow(chest: &Chest, calibre: &Calibre, bronchi: &Bronchi, seed: u64) -> Tubes {
    let mut random = Random::new(seed, 3);
    let mut tubes = Tubes::default();
    let hila = Lobe::ALL.map(|lobe| {
        let root = &bronchi.trees[lobe as usize].branches[0];
        let side = beside(lobe).across(root.direction()).unit();
        root.start.towards(root.end, 0.6) + side * distance_mm(calibre, root.radius_mm, 0.4)
    });
    let radii = Lobe::ALL.map(|lobe| bronchi.trees[lobe as usize].branches[0].radius_mm);
    let roots = centre(&mut tubes, chest, calibre, hila, radii);
    for lobe in Lobe::ALL {
        let i = lobe as usize;
        let (tree, paths) = (&bronchi.trees[i], &bronchi.paths[i]);
        accompany(&mut tubes, calibre, tree, paths, beside(lobe), roots[i], &mut random);
    }
    tubes
}

/// Distance between the centrelines of an artery and its bronchus.
fn distance_mm(calibre: &Calibre, artery_radius_mm: f32, gap_mm: f32) -> f32 {
    let lumen = calibre.lumen_mm(artery_radius_mm, 1.0);
    artery_radius_mm + lumen * 1.05 + calibre.wall_mm(lumen) + gap_mm
}

/// Trunk, main and interlobar arteries; returns the node on which each lobe's artery hangs.
fn centre(tubes: &mut Tubes, chest: &Chest, calibre: &Calibre, hila: [Point; 5], radii: [f32; 5]) -> [u32; 5] {
    let place = |x, y, z| chest.place(x, y, z);
    let [upper, middle, lower, left_upper, left_lower] = radii;
    // The centre keeps to the law: what is thinner in scans is what lies in the lungs.
    let [by_upper, by_middle, by_lower, by_left_upper, by_left_lower] = radii.map(|r| calibre.by_law_mm(r));
    let by_interlobar = joined_radius_mm([by_middle, by_lower].into_iter());
    let interlobar = 0.5 * (by_interlobar + joined_radius_mm([middle, lower].into_iter()));
    let right = joined_radius_mm([by_upper, by_interlobar].into_iter()).min(12.5);
    let left = joined_radius_mm([by_left_upper, by_left_lower].into_iter()).min(12.0);
    let trunk = joined_radius_mm([left, right].into_iter()).min(15.5);
    let fork = place(-15.0, 12.0, -16.0);
    let stem = [place(-14.0, 50.0, -56.0), place(-20.0, 38.0, -34.0), fork];
    let fork_node = tubes.path(&stem, [trunk, trunk * 0.95], None);
    let behind_aorta = place(10.0, -4.0, -21.0);
    let right_end = place(27.0, -7.0, -22.0);
    let right_node = tubes.path(&[fork, behind_aorta, right_end], [right * 1.05, right * 0.95], Some(fork_node));
    let hilum_upper = tubes.path(&[right_end, hila[0]], [upper, upper], Some(right_node));
    let turn = place(43.0, -16.0, -32.0);
    let turn_node = tubes.path(&[right_end, turn], [interlobar, interlobar], Some(right_node));
    let hilum_middle = tubes.path(&[turn, hila[1]], [middle, middle], Some(turn_node));
    let hilum_lower = tubes.path(&[turn, hila[2]], [lower, lower], Some(turn_node));
    let over_bronchus = place(-44.0, -24.0, -5.0);
    let arch = [fork, place(-30.0, -8.0, -8.0), over_bronchus];
    let arch_node = tubes.path(&arch, [left * 1.05, left * 0.95], Some(fork_node));
    let left_hilum = tubes.path(&[over_bronchus, hila[3]], [left_upper, left_upper], Some(arch_node));
    let behind = place(-52.0, -38.0, -20.0);
    let left_lower_hilum =
        tubes.path(&[over_bronchus, behind, hila[4]], [left_lower * 1.1, left_lower], Some(arch_node));
    [hilum_upper, hilum_middle, hilum_lower, left_hilum, left_lower_hilum]
}

/// Lays an artery beside every branch of a lobe's bronchi.
fn accompany(
    tubes: &mut Tubes,
    calibre: &Calibre,
    tree: &Tree,
    paths: &[Vec<Point>],
    side: Point,
    root: u32,
    random: &mut Random,
) {
    let mut sides: Vec<Point> = Vec::with_capacity(paths.len());
    let mut nodes: Vec<u32> = Vec::with_capacity(paths.len());
    for (i, (branch, path)) in tree.branches.iter().zip(paths).enumerate() {
        let from_side = branch.parent.map_or(side, |p| sides[p]);
        let to_side = side_at_end(tree, i, from_side);
        let gap = random.within(0.0, 0.6);
        let own = distance_mm(calibre, branch.radius_mm, gap);
        let start = branch.parent.map_or(own, |p| distance_mm(calibre, tree.branches[p].radius_mm, gap));
        let mut parent = branch.parent.map_or(root, |p| nodes[p]);
        for k in 1..path.len() {
            let t = k as f32 / (path.len() - 1) as f32;
            let tangent = (path[k] - path[k - 1]).unit();
            let turn = t * t * (3.0 - 2.0 * t);
            let across = from_side.towards(to_side, turn).across(tangent).unit();
            let near = (t * 2.5).min(1.0);
            let place = path[k] + across * (start + (own - start) * near);
            parent = tubes.add(place, branch.radius_mm, Some(parent));
        }
        sides.push(to_side);
        nodes.push(parent);
    }
}

/// Where the artery lies at the end of a branch: out of the plane in which the bronchus forks, so that it crosses
/// neither child.
fn side_at_end(tree: &Tree, branch: usize, before: Point) -> Point {
    let direction = tree.branches[branch].direction();
    let wish = match tree.branches[branch].children[..] {
        [a, b] => {
            let normal = tree.branches[a].direction().cross(tree.branches[b].direction());
            if normal.dot(before) < 0.0 { -normal } else { normal }
        }
        _ => before,
    };
    let side = wish.across(direction);
    if side.norm() > 1e-3 { side.unit() } else { before.across(direction).unit() }
}
