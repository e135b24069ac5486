//! Archives of OSWatcher: `zzz ***Thu Mar 2 12:00:01 UTC 2023`, then the file as it was then, over
//! and over. Times are taken as they stand: within one archive they are of one zone.

use super::super::saved_slabinfo;
use super::{Kind, Moment, SavedError, meminfo};

/// What the line before each moment begins with.
pub(super) const MARK: &str = "zzz ***";

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Moments in their order. One of which nothing was saved is passed over.
pub(super) fn parse(text: &str, page_size: u64) -> Result<Vec<Moment>, SavedError> {
    let mut moments = Vec::new();
    let mut lines = 0;
    let mut parts = text.split_inclusive('\n').peekable();
    while let Some(line) = parts.next() {
        lines += 1;
        let Some(stamp) = line.trim_start().strip_prefix(MARK) else {
            continue;
        };
        let mut body = String::new();
        let first = lines;
        while let Some(next) = parts.next_if(|next| !next.trim_start().starts_with(MARK)) {
            body.push_str(next);
            lines += 1;
        }
        let moment = moment(&body, page_size).map_err(|error| moved(error, first))?;
        moments.extend(moment.map(|moment| Moment {
            time: seconds(stamp),
            ..moment
        }));
    }
    Ok(moments)
}

fn moment(body: &str, page_size: u64) -> Result<Option<Moment>, SavedError> {
    let body = body.trim_start();
    Ok(match Kind::of(body) {
        Some(Kind::Slabinfo) => Some(Moment {
            caches: Some(saved_slabinfo::parse(body, page_size)?),
            ..Moment::default()
        }),
        Some(Kind::Meminfo) => Some(Moment {
            meminfo: Some(meminfo::parse(body)?),
            ..Moment::default()
        }),
        _ => None,
    })
}

/// A line of a part, as a line of the whole.
fn moved(error: SavedError, by: usize) -> SavedError {
    match error {
        SavedError::BadLine { line, what } => SavedError::BadLine {
            line: line + by,
            what,
        },
        SavedError::Slabinfo(saved_slabinfo::SlabinfoError::BadLine { line }) => {
            saved_slabinfo::SlabinfoError::BadLine { line: line + by }.into()
        }
        other => other,
    }
}

/// `Thu Mar 2 12:00:01 UTC 2023`, as `date` prints it, with or without a zone: seconds since 1970 as
/// if it were UTC.
pub fn seconds(stamp: &str) -> Option<i64> {
    let words: Vec<&str> = stamp.split_whitespace().collect();
    let [_, month, day, time, .., year] = words.as_slice() else {
        return None;
    };
    let month = MONTHS.iter().position(|name| name == month)? as i8 + 1;
    let mut parts = time.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let date = jiff::civil::Date::new(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    let zoned = date
        .to_datetime(time)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()?;
    Some(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moment_has_its_time() {
        let text = "zzz ***Thu Mar 2 12:00:01 UTC 2023\nMemTotal:  8 kB\nSlab:  4 kB\n\
                    zzz ***Thu Mar 2 12:00:31 UTC 2023\nMemTotal:  8 kB\nSlab:  5 kB\n\
                    zzz ***Thu Mar 2 12:01:01 UTC 2023\n";
        let moments = parse(text, 4096).expect("moments");
        let slab = |moment: &Moment| moment.meminfo.as_ref().map(|all| all["Slab"]);
        let slabs: Vec<_> = moments.iter().map(slab).collect();
        assert_eq!(slabs, [Some(4096), Some(5120)]);
        // By `date -u -d "2023-03-02 12:00:01" +%s`.
        let times: Vec<_> = moments.iter().map(|moment| moment.time).collect();
        assert_eq!(times, [Some(1_677_758_401), Some(1_677_758_431)]);
        let bad = text.replace("Slab:  5 kB", "Slab");
        let what = "/proc/meminfo";
        assert_eq!(
            parse(&bad, 4096),
            Err(SavedError::BadLine { line: 6, what })
        );
    }
}
