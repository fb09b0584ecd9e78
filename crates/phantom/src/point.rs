//! Points and directions in the body, mm, RAS (x to the patient's right).

use std::ops::{Add, Mul, Neg, Sub};

/// A place or a direction, `(x, y, z)` in RAS mm.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Point {
    /// Towards the patient's right.
    pub(crate) x: f32,
    /// Towards the front.
    pub(crate) y: f32,
    /// Towards the head.
    pub(crate) z: f32,
}

/// Shorthand for [`Point`].
pub(crate) const fn at(x: f32, y: f32, z: f32) -> Point {
    Point { x, y, z }
}

impl Point {
    pub(crate) fn dot(self, o: Self) -> f32 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    pub(crate) fn cross(self, o: Self) -> Self {
        at(self.y * o.z - self.z * o.y, self.z * o.x - self.x * o.z, self.x * o.y - self.y * o.x)
    }

    pub(crate) fn norm(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The direction of this vector; `+z` for a vector without length.
    pub(crate) fn unit(self) -> Self {
        let n = self.norm();
        if n > 1e-6 { self * (1.0 / n) } else { at(0.0, 0.0, 1.0) }
    }

    /// The part of this vector at right angles to `axis` (a unit vector).
    pub(crate) fn across(self, axis: Self) -> Self {
        self - axis * self.dot(axis)
    }

    /// The point `t` of the way to `o`.
    pub(crate) fn towards(self, o: Self, t: f32) -> Self {
        self + (o - self) * t
    }

    /// Component by component.
    pub(crate) fn times(self, o: Self) -> Self {
        at(self.x * o.x, self.y * o.y, self.z * o.z)
    }

    /// Component by component.
    pub(crate) fn over(self, o: Self) -> Self {
        at(self.x / o.x, self.y / o.y, self.z / o.z)
    }
}

impl Add for Point {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        at(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        at(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Mul<f32> for Point {
    type Output = Self;
    fn mul(self, k: f32) -> Self {
        at(self.x * k, self.y * k, self.z * k)
    }
}

impl Neg for Point {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}
