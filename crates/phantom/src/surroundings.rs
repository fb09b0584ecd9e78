//! What lies round a body in a scanner: the table, a mattress, clothes, a blanket, arms.

use serde::Serialize;

use crate::chest::Chest;
use crate::config::Style;
use crate::point::{Point, at};
use crate::random::Random;
use crate::texture::Texture;

/// What the body lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Table {
    /// Nothing is to be seen.
    None,
    /// Two thin sheets.
    Sheets,
    /// A shell with a core of foam, flat.
    Flat,
    /// The same, hollowed like a cradle.
    Cradle,
}

/// What covers the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cover {
    /// Nothing that can be seen.
    None,
    /// A thin cloth in folds.
    Clothes,
    /// A thick, loose one.
    Blanket,
}

const AIR_HU: f32 = -1000.0;

/// Everything outside the skin. Distances are in mm.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) table: Table,
    pub(crate) cover: Cover,
    /// Arms beside the body.
    pub(crate) arms: bool,
    /// The table's surface under the middle of the back.
    surface_y: f32,
    shell_hu: f32,
    shell_mm: f32,
    core_hu: f32,
    table_mm: f32,
    mattress_mm: f32,
    cradle_radius_mm: f32,
    cover_hu: f32,
    cover_mm: f32,
    cover_gap_mm: f32,
    arm: Point,
    arm_radius_mm: f32,
}

impl Surroundings {
    /// A plain phantom has two sheets in 60 % or nothing. Elsewhere 85 % have a table, 60 % a mattress, half of them
    /// something over the body, 25 % their arms beside it.
    pub(crate) fn new(chest: &Chest, seed: u64, style: Style, sheets: bool) -> Self {
        let mut random = Random::new(seed, 33);
        let wall_mm = chest.fat_mm + chest.muscle_mm;
        let lot = random.unit();
        let covered = random.unit();
        let arm_radius_mm = (38.0 + 0.35 * chest.fat_mm) * chest.mean_scale;
        let aside = chest.scale.x * 128.0 + wall_mm + arm_radius_mm + random.within(2.0, 14.0);
        let mut one = Self {
            table: if sheets { Table::Sheets } else { Table::None },
            cover: Cover::None,
            arms: random.chance(0.25),
            surface_y: chest.place(0.0, -99.0, 0.0).y - wall_mm - 4.0,
            shell_hu: random.within(-650.0, -50.0),
            shell_mm: random.within(0.8, 2.5),
            core_hu: random.within(-970.0, -860.0),
            table_mm: random.within(15.0, 45.0),
            mattress_mm: if random.chance(0.6) { random.within(6.0, 35.0) } else { 0.0 },
            cradle_radius_mm: random.within(210.0, 420.0),
            cover_hu: random.within(-850.0, -350.0),
            cover_mm: random.within(0.8, 2.2),
            cover_gap_mm: random.within(1.0, 7.0),
            arm: at(aside, random.within(-55.0, 5.0), 0.0),
            arm_radius_mm,
        };
        if style == Style::Plain {
            return Self { arms: false, ..one };
        }
        one.table = match lot {
            l if l < 0.15 => Table::None,
            l if l < 0.5 => Table::Flat,
            _ => Table::Cradle,
        };
        one.cover = match covered {
            l if l < 0.35 => Cover::Clothes,
            l if l < 0.5 => Cover::Blanket,
            _ => Cover::None,
        };
        if one.cover == Cover::Blanket {
            one.cover_hu = random.within(-960.0, -840.0);
            one.cover_mm = random.within(5.0, 18.0);
        }
        one
    }

    /// HU at a place outside the skin; `body_mm` is negative there.
    pub(crate) fn hu(&self, texture: &Texture, p: Point, body_mm: f32) -> f32 {
        if self.arms
            && let Some(hu) = self.arm(texture, p)
        {
            return hu;
        }
        if let Some(hu) = self.under(p, body_mm) {
            return hu;
        }
        if self.cover != Cover::None && p.y > self.surface_y + 4.0 {
            let fold = 3.0 * texture.sample(at(p.x, p.y, p.z * 0.4), 21.0);
            let off = -body_mm - self.cover_gap_mm - fold.max(-self.cover_gap_mm);
            if off > 0.0 && off < self.cover_mm {
                return self.cover_hu + 40.0 * texture.sample(p, 3.0);
            }
        }
        AIR_HU
    }

    /// Table and mattress.
    fn under(&self, p: Point, body_mm: f32) -> Option<f32> {
        let below = self.surface_y - p.y;
        match self.table {
            Table::None => None,
            Table::Sheets => {
                let sheet = below > 0.0 && (below < 2.0 || (below > 24.0 && below < 26.0)) && body_mm > -60.0;
                sheet.then_some(-650.0)
            }
            Table::Flat => self.layers(below, 230.0 - p.x.abs()),
            Table::Cradle => {
                // The cradle's axis runs above the body.
                let radius = self.cradle_radius_mm;
                let off = p.x.hypot(self.surface_y + radius - p.y) - radius;
                self.layers(off, (0.8 * radius - p.x.abs()).min(230.0 - p.x.abs()))
            }
        }
    }

    /// Mattress, shell, core and shell again, by the distance below the surface and from the table's edge.
    fn layers(&self, below_mm: f32, from_edge_mm: f32) -> Option<f32> {
        let deep = below_mm - self.mattress_mm;
        if below_mm < 0.0 || deep > self.table_mm || from_edge_mm < 0.0 {
            return None;
        }
        if deep < 0.0 {
            return Some(-955.0);
        }
        let in_shell = deep < self.shell_mm || self.table_mm - deep < self.shell_mm || from_edge_mm < self.shell_mm;
        Some(if in_shell { self.shell_hu } else { self.core_hu })
    }

    /// Skin, fat, muscle and bone of an arm.
    fn arm(&self, texture: &Texture, p: Point) -> Option<f32> {
        let r = (p.x.abs() - self.arm.x).hypot((p.y - self.arm.y) * 0.9);
        let rough = texture.sample(p, 3.0);
        match self.arm_radius_mm - r {
            d if d < 0.0 => None,
            d if d < 1.8 => Some(10.0),
            d if d < 0.25 * self.arm_radius_mm => Some(-98.0 + 9.0 * rough),
            _ if r > 0.32 * self.arm_radius_mm => Some(52.0 + 9.0 * rough),
            _ if r > 0.2 * self.arm_radius_mm => Some(900.0),
            _ => Some(40.0 + 30.0 * rough),
        }
    }
}
