//! What was delivered after what time, against the oracle, as a picture: SVG without scripts, readable on light and on dark pages.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use hedgerow_sync::sim::{faults::FaultMix, profile::Profile, replay::Outcome, report::in_order};

use crate::{args::Arguments, failure::Failure};

const WIDTH: u32 = 920;
const HEIGHT: u32 = 480;
/// Where the field of the curves begins and ends.
const LEFT: u32 = 70;
const RIGHT: u32 = 660;
const TOP: u32 = 60;
const BOTTOM: u32 = 410;
/// Steps of the time axis, seconds: minutes, hours, days.
const STEPS: [u32; 19] = [
    1,
    10,
    60,
    300,
    600,
    1_800,
    3_600,
    7_200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    1_209_600,
    2_419_200,
    9_676_800,
    31_536_000,
    157_680_000,
];
const MAX_STEPS: u32 = 9;
/// How many colours and dashes [`STYLE`] has.
const COLOURS: usize = 5;
const DASHES: usize = 4;
/// Colours that people who see few of them tell apart, on light and on dark pages.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#222}.title{font-size:17px;font-weight:600}.small{font-size:12px;fill:#555}\
.page{fill:#fff}.grid{stroke:#ddd}.axis{stroke:#666}path{fill:none;stroke-width:2;stroke-linejoin:round}\
.oracle{stroke:#999;stroke-width:7;stroke-opacity:.45}\
.c0{stroke:#d55e00}.c1{stroke:#0072b2}.c2{stroke:#008060}.c3{stroke:#aa3377}.c4{stroke:#8a6d00}\
.d1{stroke-dasharray:7 4}.d2{stroke-dasharray:2 3}.d3{stroke-dasharray:9 3 2 3}\
@media(prefers-color-scheme:dark){text{fill:#eee}.small{fill:#aaa}.page{fill:#16181d}.grid{stroke:#333}.axis{stroke:#999}\
.oracle{stroke:#bbb}.c0{stroke:#ff9040}.c1{stroke:#56b4e9}.c2{stroke:#2fc9a0}.c3{stroke:#e58fc4}.c4{stroke:#e6c84a}}";

/// One run: what arrived after what time, and what the oracle would have had.
pub(crate) struct Curve {
    profile: Profile,
    faults: FaultMix,
    delays: Vec<Duration>,
    oracle: Vec<Duration>,
}

impl Curve {
    /// The curve of a run.
    pub(crate) fn new(profile: Profile, faults: &FaultMix, outcome: &Outcome, oracle: &[Option<Duration>]) -> Self {
        let workload = &outcome.workload;
        Self { profile, faults: faults.clone(), delays: in_order(workload, &outcome.arrivals), oracle: in_order(workload, oracle) }
    }
}

/// A file that will hold a picture: written beside its place, and moved there once it is whole.
pub(crate) struct Picture {
    path: PathBuf,
    part: PathBuf,
    file: File,
}

impl Picture {
    /// Makes sure that a picture can be written there before hours are spent on it.
    pub(crate) fn prepare(path: &Path) -> Result<Self, Failure> {
        // What stands there already is replaced, so it had better be a file and no folder or device.
        let is_free = fs::metadata(path).map_or(true, |there| there.is_file());
        let name = path.file_name().filter(|_| is_free);
        let Some(name) = name else {
            return Err(Failure::Usage { what: "--svg needs the name of a file".to_owned(), hint: "Try `--svg delivery.svg`." });
        };
        let part = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&part).map_err(|error| Failure::writing(path, error))?;
        Ok(Self { path: path.to_owned(), part, file })
    }

    /// Draws the curves.
    pub(crate) fn finish(mut self, trace: &str, letters: usize, curves: &[Curve], arguments: &Arguments) -> Result<(), Failure> {
        let longest = arguments.lifetimes.iter().map(|lifetime| lifetime.duration).max_by_key(|it| it.unwrap_or(Duration::MAX)).flatten();
        let svg = draw(trace, letters, curves, longest);
        let written = self.file.write_all(svg.as_bytes()).and_then(|()| fs::rename(&self.part, &self.path));
        written.map_err(|error| Failure::writing(&self.path, error))
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // Moved away if all went well.
        let _ = fs::remove_file(&self.part);
    }
}

/// The picture, up to the delay `longest`, or to the last arrival.
fn draw(trace: &str, letters: usize, curves: &[Curve], longest: Option<Duration>) -> String {
    let last = curves.iter().filter_map(|curve| curve.oracle.last().max(curve.delays.last())).max();
    let axis = Axis::new(longest.or(last.copied()).unwrap_or_default());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" \
         aria-labelledby=\"t d\">\n<title id=\"t\">Delivery over time on {trace}</title>\n<desc id=\"d\">Share of {letters} messages that \
         had arrived after a time, for each link profile, and what no protocol can beat.</desc>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n<text class=\"title\" x=\"{LEFT}\" y=\"32\">Delivery over time: \
         {trace}</text>\n"
    );
    draw_grid(&mut svg, &axis);
    // The oracle of the links that are up first is the limit for all.
    let limit = curves.iter().min_by_key(|curve| curve.profile.set_up());
    if let Some(limit) = limit {
        let _ = writeln!(svg, "<path class=\"oracle\" d=\"{}\"/>", path(&limit.oracle, letters, &axis));
    }
    let classes = classes(curves);
    for (curve, class) in curves.iter().zip(&classes) {
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"{}\"/>", path(&curve.delays, letters, &axis));
    }
    draw_legend(&mut svg, curves, &classes, limit);
    svg.push_str("</svg>\n");
    svg
}

/// The time axis.
struct Axis {
    end: Duration,
    step: u32,
}

impl Axis {
    /// From zero to the first step at or after `longest`.
    fn new(longest: Duration) -> Self {
        let seconds = u32::try_from(longest.as_secs_f64().ceil() as u64).unwrap_or(u32::MAX).max(1);
        let fits = |step: &&u32| seconds.div_ceil(**step) <= MAX_STEPS;
        let step = STEPS.iter().find(fits).or(STEPS.last()).copied().unwrap_or(1);
        Self { end: Duration::from_secs(u64::from(seconds.div_ceil(step)) * u64::from(step)), step }
    }

    fn x(&self, delay: Duration) -> f64 {
        f64::from(LEFT) + f64::from(RIGHT - LEFT) * delay.as_secs_f64() / self.end.as_secs_f64()
    }

    /// The unit of the labels, seconds, and its name.
    const fn unit(&self) -> (u32, &'static str) {
        match self.step {
            0..60 => (1, "seconds"),
            60..3_600 => (60, "minutes"),
            3_600..86_400 => (3_600, "hours"),
            _ => (86_400, "days"),
        }
    }
}

fn y(share: f64) -> f64 {
    f64::from(BOTTOM) - f64::from(BOTTOM - TOP) * share
}

fn draw_grid(svg: &mut String, axis: &Axis) {
    for fifth in 0..=5_u32 {
        let y = y(f64::from(fifth) / 5.0);
        let (label, class) = (fifth * 20, if fifth == 0 { "axis" } else { "grid" });
        let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label} %</text>", LEFT - 10, y + 4.5);
    }
    let (unit, unit_name) = axis.unit();
    let steps = u32::try_from(axis.end.as_secs() / u64::from(axis.step)).unwrap_or(0);
    for step in 0..=steps {
        let seconds = step.saturating_mul(axis.step);
        let (x, label) = (axis.x(Duration::from_secs(seconds.into())), seconds / unit);
        let class = if step == 0 { "axis" } else { "grid" };
        let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>");
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", BOTTOM + 20);
    }
    let (middle_x, middle_y) = ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2);
    let _ =
        writeln!(svg, "<text x=\"{middle_x}\" y=\"{}\" text-anchor=\"middle\">{unit_name} since a message was written</text>", BOTTOM + 44);
    let _ =
        writeln!(svg, "<text transform=\"translate(18 {middle_y}) rotate(-90)\" text-anchor=\"middle\">messages that have arrived</text>");
}

/// The share of letters delivered at each pixel of the time axis, as a path of steps.
fn path(delays: &[Duration], letters: usize, axis: &Axis) -> String {
    let mut path = format!("M{LEFT} {:.1}", y(0.0));
    let mut drawn = 0;
    for pixel in 0..=RIGHT - LEFT {
        let delay = axis.end.mul_f64(f64::from(pixel) / f64::from(RIGHT - LEFT));
        let arrived = delays.partition_point(|other| *other <= delay);
        if arrived != drawn {
            drawn = arrived;
            let _ = write!(path, "H{}V{:.1}", LEFT + pixel, y(arrived as f64 / letters.max(1) as f64));
        }
    }
    let _ = write!(path, "H{RIGHT}");
    path
}

/// A colour for each profile, a dash for each kind of faults.
fn classes(curves: &[Curve]) -> Vec<String> {
    let (mut profiles, mut faults) = (Vec::new(), Vec::new());
    let class = |curve: &Curve| {
        let colour = place(&mut profiles, curve.profile) % COLOURS;
        let dash = place(&mut faults, curve.faults.clone()) % DASHES;
        format!("c{colour} d{dash}")
    };
    curves.iter().map(class).collect()
}

/// Where `item` stands in a list, at the end of which it is put if it is new.
fn place<T: PartialEq>(known: &mut Vec<T>, item: T) -> usize {
    known.iter().position(|other| *other == item).unwrap_or_else(|| {
        known.push(item);
        known.len() - 1
    })
}

fn draw_legend(svg: &mut String, curves: &[Curve], classes: &[String], limit: Option<&Curve>) {
    let oracle = limit.map(|limit| ("oracle".to_owned(), format!("oracle, links up after {:?}", limit.profile.set_up())));
    let entries = classes.iter().zip(curves).map(|(class, curve)| {
        let name =
            if curve.faults == FaultMix::none() { curve.profile.to_string() } else { format!("{}, {}", curve.profile, curve.faults) };
        (class.clone(), name)
    });
    for (row, (class, name)) in (0_u32..).zip(oracle.into_iter().chain(entries)) {
        let (y, x) = (TOP + 10 + row * 22, RIGHT + 24);
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{x} {y}h32\"/><text x=\"{}\" y=\"{}\">{name}</text>", x + 42, y + 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(profile: Profile, faults: FaultMix, delays: &[u64]) -> Curve {
        let delays: Vec<Duration> = delays.iter().copied().map(Duration::from_secs).collect();
        Curve { profile, faults, oracle: delays.clone(), delays }
    }

    #[test]
    fn axes_end_at_a_round_number_and_have_few_steps() {
        for (longest, step, end, unit) in [
            (0, 1, 1, "seconds"),
            (50, 10, 50, "seconds"),
            (3_600, 600, 3_600, "minutes"),
            (86_400, 10_800, 86_400, "hours"),
            (86_401, 10_800, 97_200, "hours"),
            (604_800, 86_400, 604_800, "days"),
            (5_427_862, 604_800, 5_443_200, "days"),
        ] {
            let axis = Axis::new(Duration::from_secs(longest));
            assert_eq!((axis.step, axis.end.as_secs(), axis.unit().1), (step, end, unit), "{longest}");
        }
        assert!(Axis::new(Duration::MAX).end >= Duration::from_secs(u64::from(u32::MAX)));
    }

    #[test]
    fn a_curve_rises_where_messages_arrive() {
        let axis = Axis::new(Duration::from_secs(590));
        assert_eq!(axis.end, Duration::from_secs(600));
        let seconds = |seconds: &[u64]| -> Vec<Duration> { seconds.iter().copied().map(Duration::from_secs).collect() };
        assert_eq!(path(&seconds(&[0, 300, 300]), 4, &axis), "M70 410.0H70V322.5H365V147.5H660");
        assert_eq!(path(&[], 4, &axis), "M70 410.0H660");
        assert_eq!(path(&seconds(&[601]), 4, &axis), "M70 410.0H660", "what comes later is not drawn");
    }

    #[test]
    fn a_picture_has_a_curve_and_a_line_of_legend_for_each_run() {
        let curves = [
            curve(Profile::Wifi, FaultMix::none(), &[5, 900]),
            curve(Profile::Wifi, "cut".parse().unwrap(), &[7]),
            curve(Profile::BlePoor, FaultMix::none(), &[9]),
        ];
        assert_eq!(classes(&curves), ["c0 d0", "c0 d1", "c1 d0"]);
        let svg = draw("school", 2, &curves, None);
        assert_eq!(svg.matches("<path").count(), 8, "the oracle's and three, in the field and in the legend");
        for text in
            [">oracle, links up after 1s<", ">wifi<", ">wifi, cut<", ">ble-poor<", ">minutes since a message was written<", "<title"]
        {
            assert!(svg.contains(text), "{text}\n{svg}");
        }
        assert!(!svg.contains("script") && svg.matches("<svg").count() == 1 && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn a_picture_of_nothing_is_still_one() {
        let svg = draw("empty", 0, &[curve(Profile::Lan, FaultMix::none(), &[])], None);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
