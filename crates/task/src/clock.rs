//! How long each stage of a piece of work took.

use std::time::Instant;

/// A clock that is read at the end of each stage.
#[derive(Debug)]
pub struct Clock {
    last: Instant,
}

impl Clock {
    /// Starts the first stage.
    pub fn start() -> Self {
        Self { last: Instant::now() }
    }

    /// Ends a stage and starts the next: wall time since the last lap, s.
    pub fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = now.duration_since(self.last).as_secs_f64();
        self.last = now;
        seconds
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    #[test]
    fn laps_add_up_to_the_whole() {
        let whole = Instant::now();
        let mut clock = Clock::start();
        sleep(Duration::from_millis(20));
        let first = clock.lap();
        let second = clock.lap();
        assert!(first >= 0.02, "{first}");
        assert!(first + second <= whole.elapsed().as_secs_f64(), "a lap holds its own stage only: {first}, {second}");
    }
}
