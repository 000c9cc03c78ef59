//! The harness of the tests in a browser itself: what it holds passes on a sound page, and what is wrong is found.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use tests::api::Door;
use tests::browser::{Browser, PATIENCE, keys};
use tests::killed;
use tokio::net::TcpListener;

const SOUND: &str = "<!doctype html><html lang=en><title>Sound</title><meta name=viewport content='width=device-width'>
    <style>:root { color-scheme: light dark; } body { overflow-wrap: anywhere; }</style>
    <link rel=icon href='data:,'>
    <main><h1>Sound</h1><form action=/next><label>Word <input name=word></label><button>Go</button></form></main>";
const NEXT: &str =
    "<!doctype html><html lang=en><title>Next</title><link rel=icon href='data:,'><main><h1>On the way</h1></main>
    <script>setTimeout(() => location = '/sound?' + new URLSearchParams(location.search).get('word'), 300)</script>";
const WRONG: &str = "<!doctype html><html><title>Wrong</title><link rel=icon href='data:,'>
    <img src='http://elsewhere.example/picture.png'><p style='color: #ccc; background: #fff'>pale</p>
    <script>console.error('it broke'); nothing.at.all;</script><div style='width: 3000px'>wide</div>";

/// Serves the pages of this file; gives their address.
async fn pages() -> String {
    let pages = Router::new()
        .route("/sound", get(|| async { Html(SOUND) }))
        .route("/next", get(|| async { Html(NEXT) }))
        .route("/wrong", get(|| async { Html(WRONG) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, pages).await });
    url
}

#[tokio::test]
async fn a_sound_page_passes_and_waits_go_on_over_navigations() {
    let url = pages().await;
    let browser = Browser::open().await;
    browser.go(&format!("{url}/sound")).await;
    browser.pictures("harness").await;
    browser.fill("input", "first").await;
    browser.click("button").await;
    browser.until("location.search === '?first'").await;
    browser.fill("input", "second").await;
    browser.press(None, keys::ENTER).await;
    browser.until("location.search === '?second'").await;
    browser.until_says("h1", "Sound").await;
    browser.is_sound().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_page_is_found() {
    let url = pages().await;
    let browser = Browser::open().await;
    browser.go(&format!("{url}/wrong")).await;
    let found = browser.findings().await.join("\n");
    for part in [
        "it broke",
        "nothing is not defined",
        "a request to another host: http://elsewhere.example/picture.png",
    ] {
        assert!(found.contains(part), "{part} is not in:\n{found}");
    }
    let barriers = browser.barriers().await.join("\n");
    for rule in ["color-contrast", "image-alt", "html-has-lang"] {
        assert!(barriers.contains(rule), "{rule} is not in:\n{barriers}");
    }
    let wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
    browser.until(wide).await;
}

#[tokio::test]
async fn the_page_of_the_interface_asks_nobody_else_and_breaks_nothing() {
    let door = Door::open().await;
    let browser = Browser::open().await;
    browser.go(&format!("http://{}/docs/", door.address)).await;
    browser.until_says("body", "/v1/messages").await;
    browser.is_quiet().await;
}

/// The variable by which the process that is to be killed knows that it is.
const KILLED: &str = "DOORSTEP_TEST_BROWSER_KILLED";

#[test]
fn a_killed_test_leaves_no_driver_behind() {
    let this = "browser_harness::a_killed_test_leaves_no_driver_behind";
    if std::env::var_os(KILLED).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let browser = Browser::open().await;
            killed::tell(&browser.driver().to_string());
            std::future::pending::<()>().await;
        });
    }
    let mut driver = None;
    let reached = killed::when(this, &[(KILLED, "1".to_owned())], |line| {
        driver = line.parse().ok();
        driver.is_some()
    });
    assert!(reached, "it ended by itself");
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect_timeout(&driver.unwrap(), Duration::from_secs(1)).is_ok() {
        assert!(Instant::now() < until, "the driver runs on");
    }
}
