//! How a page looks: the widths and colour schemes that every page is held to, and pictures of it.
//!
//! Pictures lie in `screenshots/` of the target folder, one for each page, width and scheme. They are for people to look at;
//! what a machine can tell of them is held here: nothing is wider than the window, and the accessibility check passes in
//! both schemes, contrast included.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Browser;

/// Widths in pixels: a small telephone, a tablet, a desk.
pub const WIDTHS: [u32; 3] = [360, 768, 1280];
/// Both colour schemes.
pub const SCHEMES: [Scheme; 2] = [Scheme::Light, Scheme::Dark];
/// A taller page is cut off in its picture.
const PICTURE_HEIGHT_MAX: u32 = 6_000;
/// Height of the window.
const HEIGHT: u32 = 900;

/// What the person prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Scheme {
    /// Its name in the media feature and in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        }
    }
}

/// The folder that cargo builds into.
pub(super) fn target() -> PathBuf {
    // The tests' own program lies in `target/PROFILE/deps`.
    let program = std::env::current_exe().expect("the tests are a program");
    let folder = program
        .ancestors()
        .nth(3)
        .expect("it lies in the target folder");
    folder.to_owned()
}

impl Browser {
    /// Makes the window this wide, for a person with this preference. Reloads nothing.
    pub async fn look(&self, width: u32, scheme: Scheme) {
        self.sized(width, HEIGHT).await;
        let feature = json!({"name": "prefers-color-scheme", "value": scheme.as_str()});
        self.session
            .devtools(
                "Emulation.setEmulatedMedia",
                json!({"features": [feature, {"name": "prefers-reduced-motion", "value": "reduce"}]}),
            )
            .await;
        let dark = scheme == Scheme::Dark;
        self.until(&format!(
            "innerWidth === {width} && matchMedia('(prefers-color-scheme: dark)').matches === {dark}"
        ))
        .await;
    }

    /// Holds that nothing on the page is wider than the window, so that nobody has to scroll sideways.
    ///
    /// # Panics
    /// With what is.
    pub async fn fits(&self) {
        let wide = self
            .script(
                "const width = document.documentElement.clientWidth;
                 if (document.documentElement.scrollWidth <= width) return [];
                 const wide = [...document.body.querySelectorAll('*')]
                     .filter(e => e.getBoundingClientRect().right > width + 0.5)
                     .map(e => e.outerHTML.slice(0, 160));
                 return [`${document.documentElement.scrollWidth} of ${width} pixels`, ...wide.slice(0, 8)];",
            )
            .await;
        let wide = wide.as_array().unwrap();
        let at = self.address().await;
        assert!(wide.is_empty(), "{at} is too wide: {wide:#?}");
    }

    /// Takes the page's pictures at all widths in both schemes, and holds at each that it fits and is accessible; leaves it
    /// wide and light.
    ///
    /// # Panics
    /// When it does not fit, or is not accessible.
    pub async fn pictures(&self, name: &str) {
        let folder = target().join("screenshots");
        std::fs::create_dir_all(&folder).expect("a folder in the target folder");
        for width in WIDTHS {
            for scheme in SCHEMES {
                self.look(width, scheme).await;
                // A page as tall as it is: what keeps to the window's edge stands at the end of the picture.
                self.sized(width, self.height().await).await;
                let file = folder.join(format!("{name}-{width}-{}.png", scheme.as_str()));
                std::fs::write(file, self.picture().await).expect("a picture is written");
                self.fits().await;
                // The middle width has the layout of one of the others.
                if width != WIDTHS[1] {
                    self.is_accessible().await;
                }
            }
        }
        self.look(1280, Scheme::Light).await;
    }

    /// Keeps something that is no matter of passing beside the pictures.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn keeps(&self, name: &str, what: &serde_json::Value) {
        let folder = target().join("screenshots");
        std::fs::create_dir_all(&folder).expect("a folder in the target folder");
        std::fs::write(folder.join(format!("{name}.json")), format!("{what:#}\n"))
            .expect("it is written");
    }

    /// Makes the window so large.
    async fn sized(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.session
            .devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// How tall the page is, as far as a picture goes.
    async fn height(&self) -> u32 {
        let height = self
            .script("return document.documentElement.scrollHeight")
            .await;
        let height = height.as_u64().unwrap().try_into().unwrap_or(u32::MAX);
        height.clamp(HEIGHT, PICTURE_HEIGHT_MAX)
    }

    /// What the window shows, as a picture.
    async fn picture(&self) -> Vec<u8> {
        let asked = json!({"format": "png"});
        let taken = self.session.devtools("Page.captureScreenshot", asked).await;
        STANDARD
            .decode(taken["data"].as_str().unwrap())
            .expect("base64")
    }
}
