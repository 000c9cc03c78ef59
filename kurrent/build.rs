//! Compiles the messages of the protocol, without a compiler of the system's.

fn main() -> anyhow::Result<()> {
    let files = [
        "shared.proto",
        "status.proto",
        "streams.proto",
        "serverfeatures.proto",
        "gossip.proto",
    ];
    println!("cargo:rerun-if-changed=proto");
    let described = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .bytes(".")
        .compile_fds(described)?;
    Ok(())
}
