//! Bar charts as SVG: one per backend, a pair of bars for each throughput case, on a logarithmic scale.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::report::{Report, Row, number};
use crate::subject::Result;

const WIDTH: f64 = 760.0;
const LABELS: f64 = 170.0;
const BAR: f64 = 13.0;
const GROUP: f64 = 2.0 * BAR + 12.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 40.0;
const ANNALIST: &str = "#2563a8";
const RAW: &str = "#b8b3a7";

pub(crate) fn write(report: &Report, dir: &Path) -> Result<()> {
    let mut charts: BTreeMap<&str, Vec<(&Row, &Row)>> = BTreeMap::new();
    for pair in report.pairs().filter(|(our, _)| shows(our)) {
        charts.entry(&pair.0.backend).or_default().push(pair);
    }
    for (backend, pairs) in charts {
        std::fs::write(dir.join(file(backend)), svg(backend, &pairs))?;
    }
    Ok(())
}

/// Throughput alone: other units have other axes.
pub(crate) fn shows(row: &Row) -> bool {
    row.unit == "events/s"
}

pub(crate) fn file(backend: &str) -> String {
    format!("bench-{backend}.svg")
}

/// Powers of ten that hold all values.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    fn over<'a>(rows: impl Iterator<Item = &'a Row> + Clone) -> Self {
        let low = rows.clone().map(|row| row.median).fold(f64::INFINITY, f64::min).max(1.0);
        let high = rows.map(|row| row.median).fold(1.0, f64::max);
        let (low, high) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        // A bar of the smallest value would have no length if the axis began there.
        Self { low: (low - 1).max(0), high: high.max(low + 1) }
    }

    fn x(&self, value: f64) -> f64 {
        let part = (value.max(1.0).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        LABELS + part.clamp(0.0, 1.0) * (WIDTH - LABELS - 90.0)
    }
}

fn svg(backend: &str, pairs: &[(&Row, &Row)]) -> String {
    let axis = Axis::over(pairs.iter().flat_map(|(our, raw)| [*our, *raw]));
    let height = TOP + GROUP * pairs.len() as f64 + BOTTOM;
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="16" y="24" font-size="16">Annalist on {backend} beside the raw technology: events/s, logarithmic</text>
<rect x="16" y="36" width="12" height="12" fill="{ANNALIST}"/><text x="34" y="46">annalist</text>
<rect x="110" y="36" width="12" height="12" fill="{RAW}"/><text x="128" y="46">raw</text>
<text x="{}" y="46" text-anchor="end">ratio</text>"#,
        WIDTH - 12.0
    );
    grid(&mut out, &axis, height);
    for (place, (our, raw)) in pairs.iter().enumerate() {
        let y = TOP + GROUP * place as f64;
        let Row { workload, batch, .. } = our;
        let crowd = our.crowd();
        let events = if *batch == 1 { String::new() } else { format!(", × {batch}") };
        let label = format!("{workload}, {crowd} task{}{events}", if crowd == "1" { "" } else { "s" });
        let _ = writeln!(
            out,
            r#"<text x="{}" y="{}" text-anchor="end">{label}</text>"#,
            LABELS - 8.0,
            y + BAR + 4.0
        );
        bar(&mut out, &axis, y, our.median, ANNALIST);
        bar(&mut out, &axis, y + BAR, raw.median, RAW);
        let _ = writeln!(
            out,
            r#"<text x="{}" y="{}" text-anchor="end">{:.2}</text>"#,
            WIDTH - 12.0,
            y + BAR + 4.0,
            our.median / raw.median
        );
    }
    out.push_str("</svg>\n");
    out
}

fn grid(out: &mut String, axis: &Axis, height: f64) {
    let base = height - BOTTOM;
    for power in axis.low..=axis.high {
        let value = 10_f64.powi(power);
        let x = axis.x(value);
        let _ = writeln!(
            out,
            r##"<line x1="{x:.1}" y1="{}" x2="{x:.1}" y2="{base}" stroke="#dddddd"/><text x="{x:.1}" y="{}" text-anchor="middle">{}</text>"##,
            TOP - 6.0,
            base + 18.0,
            number(value)
        );
    }
}

fn bar(out: &mut String, axis: &Axis, y: f64, value: f64, colour: &str) {
    let width = axis.x(value) - LABELS;
    let _ = writeln!(
        out,
        r#"<rect x="{LABELS}" y="{y}" width="{width:.1}" height="{BAR}" fill="{colour}"/><text x="{:.1}" y="{}" font-size="11">{}</text>"#,
        LABELS + width + 5.0,
        y + BAR - 3.0,
        number(value)
    );
}
