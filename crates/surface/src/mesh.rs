//! Triangles that share their corners.

/// A closed surface; corners in RAS mm, triangles counter-clockwise seen from outside.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mesh {
    /// Corners, mm.
    pub corners: Vec<[f32; 3]>,
    /// Three corners each.
    pub triangles: Vec<[u32; 3]>,
}

impl Mesh {
    /// What the surface encloses, mm³: the sum of the tetrahedra between its triangles and a corner of it.
    pub fn volume_mm3(&self) -> f64 {
        let origin = self.corners.first().copied().unwrap_or_default().map(f64::from);
        let from = |corner: u32| {
            let place = self.corners[corner as usize].map(f64::from);
            [0, 1, 2].map(|axis| place[axis] - origin[axis])
        };
        let six = |triangle: &[u32; 3]| {
            let [a, b, c] = triangle.map(from);
            dot(a, cross(b, c))
        };
        self.triangles.iter().map(six).sum::<f64>() / 6.0
    }

    /// The area of all triangles, mm².
    pub fn area_mm2(&self) -> f64 {
        let twice = |triangle: &[u32; 3]| {
            let normal = self.normal(triangle);
            dot(normal, normal).sqrt()
        };
        self.triangles.iter().map(twice).sum::<f64>() / 2.0
    }

    /// The outward direction at each corner, of length 1: the mean of its triangles' by area.
    pub fn normals(&self) -> Vec<[f32; 3]> {
        let mut sums = vec![[0f64; 3]; self.corners.len()];
        for triangle in &self.triangles {
            let normal = self.normal(triangle);
            for &corner in triangle {
                for axis in 0..3 {
                    sums[corner as usize][axis] += normal[axis];
                }
            }
        }
        sums.into_iter().map(unit).collect()
    }

    /// The outward direction of a triangle, as long as twice its area.
    pub(crate) fn normal(&self, triangle: &[u32; 3]) -> [f64; 3] {
        let [a, b, c] = triangle.map(|corner| self.corners[corner as usize].map(f64::from));
        let to = |end: [f64; 3]| [0, 1, 2].map(|axis| end[axis] - a[axis]);
        cross(to(b), to(c))
    }
}

pub(crate) fn unit(vector: [f64; 3]) -> [f32; 3] {
    let length = dot(vector, vector).sqrt();
    if length > 0.0 { vector.map(|value| (value / length) as f32) } else { [0.0, 0.0, 1.0] }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}
