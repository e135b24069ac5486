//! The progress bar: on stderr, only on a terminal, gone when the work is done.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vmleak::subsys::mm::slab::Progress;

use super::args::Common;

/// Shows phases as bars and, when asked, tells how long each took.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    phase: Mutex<Option<(&'static str, Instant)>>,
    timing: bool,
}

/// Work shorter than this shows no bar: it would only flicker.
const DELAY: Duration = Duration::from_millis(300);

impl Bar {
    /// A bar as the command line wants it. Ctrl-C takes it away before the process ends.
    pub(crate) fn new(common: &Common) -> Self {
        let hidden = common.no_progress || common.quiet;
        let bar = ProgressBar::hidden();
        // No time left is told: phases go at paces that nobody knows before.
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {percent}% ({elapsed})") {
            bar.set_style(style.progress_chars("=> "));
        }
        if !hidden && std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            let shown = bar.clone();
            std::thread::spawn(move || {
                std::thread::sleep(DELAY);
                if !shown.is_finished() {
                    shown.set_draw_target(ProgressDrawTarget::stderr());
                }
            });
        }
        let at_interrupt = bar.clone();
        // Without a handler Ctrl-C still ends the process, with the bar left on the screen.
        let _ = ctrlc::set_handler(move || {
            at_interrupt.finish_and_clear();
            std::process::exit(130);
        });
        Self {
            bar,
            phase: Mutex::new(None),
            timing: common.verbose > 0,
        }
    }

    /// A bar that is never shown: the process is another program's.
    pub(crate) fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            phase: Mutex::new(None),
            timing: false,
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.report(None);
        self.bar.finish_and_clear();
    }

    fn report(&self, next: Option<&'static str>) {
        let mut phase = self
            .phase
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let (Some((what, since)), true) = (*phase, self.timing) {
            let took = since.elapsed().as_secs_f64() * 1000.0;
            self.bar
                .suspend(|| eprintln!("vmleak: {what}: {took:.1} ms"));
        }
        *phase = next.map(|what| (what, Instant::now()));
    }
}

impl Progress for Bar {
    fn start(&self, what: &'static str, total: u64) {
        self.report(Some(what));
        self.bar.set_length(total);
        self.bar.set_position(0);
        self.bar.set_message(what);
    }

    fn step(&self, steps: u64) {
        self.bar.inc(steps);
    }
}
