//! Signals that end the process: private folders are removed first.

#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};

/// Starts a thread that waits for such a signal, removes the private folders, and lets the signal do what it does
/// without us. Where it cannot be started, signals end the process as ever.
#[cfg(unix)]
pub fn remove_private_folders() {
    // A file that may not grow any more is an error of the write, as a full disk is, and not the end of the process.
    let _ = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default());
    // What the parent process chose to ignore (nohup, a job in the background) stays ignored.
    let ignored = ignored_signals();
    let caught = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter().filter(|s| ignored & (1 << (s - 1)) == 0);
    let Ok(mut signals) = signal_hook::iterator::Signals::new(caught) else {
        return;
    };
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            crate::archive::remove_all();
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            std::process::exit(128 + signal);
        }
    });
}

/// The mask of ignored signals; 0 where the system does not tell.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok()).unwrap_or(0)
}

/// Other systems end the process; the folder stays among the temporary files.
#[cfg(not(unix))]
pub fn remove_private_folders() {}
