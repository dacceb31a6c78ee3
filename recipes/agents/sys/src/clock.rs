//! Time since the kernel started, for reports; it decides nothing.

/// Milliseconds, in steps of ten (proc(5), `/proc/uptime`); 0 if unknown.
pub fn uptime_ms() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: f64 = text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0.0);
    (seconds * 1000.0).round() as u64
}
