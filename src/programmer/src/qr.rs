//! Reads the QR code of a sterile pack, an implant card or a wallet card out of a camera's picture.
//!
//! Not every browser reads QR codes itself, and those that do differ; this is the same everywhere. A picture is whatever a camera sees, so
//! the page reads it in a worker of its own: what happens there never touches a [`crate::Programmer`].
use rqrr::PreparedImage;

/// Bytes of a pixel: red, green, blue, and how opaque it is.
const PIXEL: usize = 4;

/// The text of a QR code in a picture of so many pixels a line; `None` when none can be read. Pixels are as a canvas has them.
#[must_use]
pub fn read(pixels: &[u8], width: u32) -> Option<String> {
    let width = usize::try_from(width).ok()?;
    let line = width.checked_mul(PIXEL).filter(|bytes| *bytes > 0)?;
    let height = pixels.len().checked_div(line)?;
    let mut brightness = pixels.chunks_exact(PIXEL).map(|pixel| match pixel {
        // Green carries most of what the eye sees as bright, and a code is black on white.
        [_, green, _, _] => *green,
        _ => 0,
    });
    // Called for every pixel, line after line.
    let mut picture = PreparedImage::prepare_from_greyscale(width, height, |_, _| {
        brightness.next().unwrap_or_default()
    });
    let grids = picture.detect_grids();
    grids
        .iter()
        .find_map(|grid| grid.decode().ok())
        .map(|(_, text)| text)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use qrcode::{Color, EcLevel, QrCode};

    /// A printed code: dark on light, modules of `module` pixels, with the quiet zone that the standard wants.
    fn printed(text: &str, module: usize) -> (Vec<u8>, u32) {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let side = (code.width() + 8) * module;
        let pixels = (0..side * side).flat_map(|at| {
            let (x, y) = ((at % side) / module, (at / side) / module);
            let inside = (4..code.width() + 4).contains(&x) && (4..code.width() + 4).contains(&y);
            let dark = inside && code[(x - 4, y - 4)] == Color::Dark;
            // Neither ink nor paper is perfect.
            let bright = if dark { 40 } else { 220 };
            [bright, bright, bright, 255]
        });
        (pixels.collect(), u32::try_from(side).unwrap())
    }

    #[test]
    fn the_text_of_a_pack_is_read_off_paper() {
        let text = format!("THECAL1:{}", "0123456789ABCDEF".repeat(13));
        for module in [3, 4, 7] {
            let (pixels, width) = printed(&text, module);
            assert_eq!(
                read(&pixels, width).as_deref(),
                Some(text.as_str()),
                "{module}"
            );
        }
    }

    #[test]
    fn a_picture_without_a_code_has_no_text() {
        let (mut pixels, width) = printed("THECAL1:00", 4);
        let half = pixels.len() / 2;
        pixels.truncate(half);
        assert_eq!(read(&pixels, width), None, "half a code");
        assert_eq!(read(&[220; 4 * 64 * 64], 64), None, "paper");
        assert_eq!(read(&[], 64), None);
        assert_eq!(read(&[1, 2, 3, 4], 0), None);
        assert_eq!(read(&[1, 2, 3], 1), None);
    }
}
