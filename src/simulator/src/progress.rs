//! Progress bars, for what takes longer than two seconds.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration as RealTime, Instant};
use units::Duration;

/// Shorter runs show nothing.
const UNNOTICED: RealTime = RealTime::from_secs(2);

/// How far a run has come, on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    length: Duration,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            began: Instant::now(),
            length,
            bar: None,
        }
    }

    /// The run has come so far.
    pub(crate) fn reached(&mut self, at: Duration) {
        if self.bar.is_none() && self.began.elapsed() >= UNNOTICED {
            self.bar = Some(self.new_bar());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(at.seconds_rounded_down());
            bar.set_message(self.message(at));
        }
    }

    /// The run has ended, well or not.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Day and time left; the bar's own estimate would need some seconds to settle.
    fn message(&self, at: Duration) -> String {
        let days = |time: Duration| time.micros() / Duration::from_days(1).micros();
        let left = self.length.saturating_sub(at);
        let seconds = u128::from(left.micros()) * self.began.elapsed().as_millis()
            / u128::from(at.micros().max(1))
            / 1000;
        format!(
            "day {} of {}, {seconds} s left",
            days(at),
            days(self.length)
        )
    }

    fn new_bar(&self) -> ProgressBar {
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(self.length.seconds_rounded_down()), target);
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.with_style(style).with_elapsed(self.began.elapsed())
    }
}

/// How far the reading of a log has come, on standard error.
#[derive(Debug)]
pub(crate) struct Reading {
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Reading {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            bar: None,
        }
    }

    /// So many records of so many are there.
    pub(crate) fn reached(&mut self, done: u32, of: u32) {
        if self.bar.is_none() && self.began.elapsed() >= UNNOTICED {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:40} record {pos} of {len}, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar = Some(bar.with_style(style).with_elapsed(self.began.elapsed()));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(of.into());
            bar.set_position(done.into());
        }
    }

    /// The reading has ended, well or not.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
