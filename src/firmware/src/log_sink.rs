//! Log lines without a heap: formatted on the stack of whoever logs, cut where they are too long.
//!
//! zephyr-lang-rust's own sink needs an allocator and drops every line without one.

use core::fmt::{self, Write};

use drivers::device::system::{self, LOG_BYTES, LogLevel};
use heapless::String;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// `log`'s macro of that name in an image with a log. In one without it nothing is formatted, and no room taken by the text.
macro_rules! say {
    ($level:ident, $($text:tt)+) => {
        if cfg!(CONFIG_LOG) {
            ::log::$level!($($text)+);
        }
    };
}
pub(crate) use say;

struct Sink;

static SINK: Sink = Sink;

/// Makes `log`'s macros write to Zephyr's log. Zephyr's own levels decide what is shown.
pub fn install() {
    if !cfg!(CONFIG_LOG) {
        return;
    }
    // Fails only when there is one already, which would be this one.
    let _ = log::set_logger(&SINK);
    log::set_max_level(LevelFilter::Debug);
}

/// A line that takes what fits.
struct Line(String<LOG_BYTES>);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.0.push(character).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

impl Log for Sink {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warning,
            Level::Info => LogLevel::Info,
            Level::Debug | Level::Trace => LogLevel::Debug,
        };
        let mut line = Line(String::new());
        // An error is a line that was cut.
        let _ = line.write_fmt(*record.args());
        system::log(level, &line.0);
    }

    fn flush(&self) {}
}
