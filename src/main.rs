//! The binary: one environment variable, then `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // ONNX Runtime's published libraries carry a telemetry client that only this variable, set
    // before the library is loaded, switches off.
    #[expect(unsafe_code, reason = "no other thread exists yet, so nothing reads the environment meanwhile")]
    #[expect(clippy::disallowed_methods, reason = "the one place that may set it")]
    // SAFETY: as above; this is the first statement of the program.
    unsafe {
        std::env::set_var("ORT_DISABLE_TELEMETRY", "1");
    }
    ml_inference_api::cli::main()
}
