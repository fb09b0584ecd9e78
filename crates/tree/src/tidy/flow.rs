//! Minimum cut of a small graph: Dinic's algorithm (1970, Sov Math Dokl 11:1277).

/// Costs of giving each item one of two sides, and ties that cost where two items differ.
pub(super) struct Flow {
    /// Edges in pairs, one against the other: where to, and how much room is left.
    edges: Vec<(usize, i64)>,
    of_node: Vec<Vec<usize>>,
}

/// Costs are whole numbers, so that sums are exact.
const STEPS: f64 = 4096.0;

impl Flow {
    pub(super) fn new(items: usize) -> Self {
        Self { edges: vec![], of_node: vec![vec![]; items + 2] }
    }

    fn source(&self) -> usize {
        self.of_node.len() - 2
    }

    fn sink(&self) -> usize {
        self.of_node.len() - 1
    }

    /// What the first and the second side cost an item.
    pub(super) fn add_costs(&mut self, item: usize, first: f64, second: f64) {
        self.edge(self.source(), item, second, 0.0);
        self.edge(item, self.sink(), first, 0.0);
    }

    /// What it costs when two items are on different sides.
    pub(super) fn tie(&mut self, a: usize, b: usize, cost: f64) {
        self.edge(a, b, cost, cost);
    }

    fn edge(&mut self, from: usize, to: usize, room: f64, back: f64) {
        let whole = |cost: f64| (cost * STEPS).round() as i64;
        self.of_node[from].push(self.edges.len());
        self.edges.push((to, whole(room)));
        self.of_node[to].push(self.edges.len());
        self.edges.push((from, whole(back)));
    }

    /// Which items are on the first side where all costs together are least.
    pub(super) fn cut(mut self) -> Vec<bool> {
        loop {
            let levels = self.levels();
            if levels[self.sink()] == usize::MAX {
                return levels[..self.of_node.len() - 2].iter().map(|&level| level != usize::MAX).collect();
            }
            let mut next = vec![0; self.of_node.len()];
            while self.push(&levels, &mut next) {}
        }
    }

    /// Steps from the source through edges with room.
    fn levels(&self) -> Vec<usize> {
        let mut levels = vec![usize::MAX; self.of_node.len()];
        levels[self.source()] = 0;
        let mut open = std::collections::VecDeque::from([self.source()]);
        while let Some(node) = open.pop_front() {
            for &edge in &self.of_node[node] {
                let (to, room) = self.edges[edge];
                if room > 0 && levels[to] == usize::MAX {
                    levels[to] = levels[node] + 1;
                    open.push_back(to);
                }
            }
        }
        levels
    }

    /// Sends what fits along one shortest path; `false` when there is none left.
    fn push(&mut self, levels: &[usize], next: &mut [usize]) -> bool {
        let (source, sink) = (self.source(), self.sink());
        let mut path: Vec<usize> = vec![];
        let mut node = source;
        while node != sink {
            let forward = self.of_node[node][next[node]..].iter().position(|&edge| {
                let (to, room) = self.edges[edge];
                room > 0 && levels[to] == levels[node].saturating_add(1)
            });
            if let Some(step) = forward {
                next[node] += step;
                let edge = self.of_node[node][next[node]];
                path.push(edge);
                node = self.edges[edge].0;
                continue;
            }
            next[node] = self.of_node[node].len();
            let Some(edge) = path.pop() else { return false };
            node = self.edges[edge ^ 1].0;
            next[node] += 1;
        }
        let least = path.iter().map(|&edge| self.edges[edge].1).min().unwrap_or(0);
        for edge in path {
            self.edges[edge].1 -= least;
            self.edges[edge ^ 1].1 += least;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_costs_as_little_as_any_labelling() {
        let mut state = 7_u32;
        let mut random = |n: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from((state >> 16) % n)
        };
        for _ in 0..200 {
            let items = 7;
            let costs: Vec<[f64; 2]> = (0..items).map(|_| [random(9), random(9)]).collect();
            let ties: Vec<(usize, usize, f64)> = (0..10)
                .map(|_| (random(7) as usize, random(7) as usize, random(6)))
                .filter(|(a, b, _)| a != b)
                .collect();
            let cost = |first: &[bool]| -> f64 {
                let own: f64 = (0..items).map(|i| costs[i][usize::from(!first[i])]).sum();
                own + ties.iter().filter(|(a, b, _)| first[*a] != first[*b]).map(|tie| tie.2).sum::<f64>()
            };
            let mut flow = Flow::new(items);
            costs.iter().enumerate().for_each(|(i, [first, second])| flow.add_costs(i, *first, *second));
            for &(a, b, weight) in &ties {
                flow.tie(a, b, weight);
            }
            let least = (0..1 << items)
                .map(|bits| cost(&(0..items).map(|i| bits >> i & 1 == 1).collect::<Vec<_>>()))
                .fold(f64::INFINITY, f64::min);
            assert_eq!(cost(&flow.cut()), least);
        }
    }
}
