//! The arguments of `leaks`.

use std::time::Duration;

use clap::Args;

use super::args::Common;

/// Of `leaks`.
#[derive(Debug, Args)]
pub(crate) struct LeaksArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Stop searching after this time (for example 60s or 5m) with what there is
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "Resources")]
    pub(crate) budget: Option<Duration>,
}

/// Seconds, or a number with `ms`, `s`, `m` or `h`.
fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number: u64 = digits
        .parse()
        .map_err(|_| "give a time such as 60s or 5m".to_owned())?;
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("the units are ms, s, m and h".to_owned()),
    };
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}
