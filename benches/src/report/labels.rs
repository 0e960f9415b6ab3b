//! Places names beside what they name so that they do not overlap.

use super::canvas::{Point, text_width};

/// Height of a line of small text.
const LINE: f64 = 13.0;

/// A rectangle that is taken: left, top, right, bottom.
#[derive(Clone, Copy, Debug)]
struct Box {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Box {
    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn around((x, y): Point, radius: f64) -> Self {
        Self {
            left: x - radius,
            top: y - radius,
            right: x + radius,
            bottom: y + radius,
        }
    }
}

/// For each point, the middle of the left edge of its name, inside of `room` (upper left and lower right corner), near the
/// point and clear of all points and other names. A name without a free place keeps the one that overlaps least.
pub(crate) fn around(points: &[(Point, &str)], size: f64, room: (Point, Point)) -> Vec<Point> {
    let mut taken: Vec<Box> = points
        .iter()
        .map(|(point, _)| Box::around(*point, 6.0))
        .collect();
    let mut places = Vec::new();
    for (point, name) in points {
        let width = text_width(name, size);
        let mut best: Option<(usize, Point, Box)> = None;
        for place in candidates(*point, width) {
            let area = Box {
                left: place.0 - 1.0,
                top: place.1 - LINE / 2.0,
                right: place.0 + width + 1.0,
                bottom: place.1 + LINE / 2.0,
            };
            let inside = area.left >= room.0.0
                && area.right <= room.1.0
                && area.top >= room.0.1
                && area.bottom <= room.1.1;
            let hits = taken.iter().filter(|other| area.overlaps(other)).count();
            let hits = if inside { hits } else { hits + 100 };
            if best.as_ref().is_none_or(|(fewest, ..)| hits < *fewest) {
                best = Some((hits, place, area));
            }
            if hits == 0 {
                break;
            }
        }
        let (_, place, area) = best.expect("there are candidates");
        taken.push(area);
        places.push(place);
    }
    places
}

/// Left edges to try, the best first: right, left, above, below; then the same from farther away.
fn candidates((x, y): Point, width: f64) -> impl Iterator<Item = Point> {
    let distances = [0.0, 10.0, 20.0, 32.0, 46.0, 62.0, 80.0, 100.0];
    distances.into_iter().flat_map(move |far| {
        let side = 9.0 + far / 2.0;
        [
            (x + side, y - far),
            (x + side, y + far),
            (x - side - width, y - far),
            (x - side - width, y + far),
            (x - width / 2.0, y - 13.0 - far),
            (x - width / 2.0, y + 13.0 + far),
        ]
    })
}

/// Moves positions on a line apart until each is `apart` from the next, none beyond `room`, and their order is kept.
pub(crate) fn spread(wanted: &[f64], apart: f64, room: (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut places: Vec<f64> = wanted.to_vec();
    let mut least = room.0;
    for index in &order {
        places[*index] = places[*index].max(least);
        least = places[*index] + apart;
    }
    let mut most = room.1;
    for index in order.iter().rev() {
        places[*index] = places[*index].min(most);
        most = places[*index] - apart;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::{around, spread};

    #[test]
    fn names_do_not_overlap() {
        let points: Vec<((f64, f64), &str)> = (0..12)
            .map(|index| ((200.0 + f64::from(index), 200.0), "engine"))
            .collect();
        let places = around(&points, 11.0, ((0.0, 0.0), (400.0, 400.0)));
        for (index, one) in places.iter().enumerate() {
            for other in &places[..index] {
                let apart = (one.0 - other.0).abs() >= 30.0 || (one.1 - other.1).abs() >= 13.0;
                assert!(apart, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn lines_are_spread() {
        let check = |wanted: &[f64], expected: &[f64]| {
            assert_eq!(spread(wanted, 10.0, (0.0, 100.0)), expected);
        };
        check(&[], &[]);
        check(&[50.0, 20.0], &[50.0, 20.0]);
        check(&[50.0, 49.0, 51.0], &[59.0, 49.0, 69.0]);
        check(&[99.0, 100.0], &[90.0, 100.0]);
    }
}
