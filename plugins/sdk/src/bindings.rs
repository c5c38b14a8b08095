//! What is generated from the contract, kept away from authors: one module with what the worlds
//! of the contract share (so that a `ctx` is the same type in all of them) and one for each of
//! their own interfaces. A component exports `base` and one of the others; together that is
//! a world of the contract. The worlds cannot be generated as they stand, because an exported
//! macro of the interface `describe` would exist three times.
#![allow(
    unsafe_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::allow_attributes_without_reason,
    reason = "generated code crosses the component boundary with raw pointers"
)]

pub mod base {
    wit_bindgen::generate!({
        inline: "package grepx:sdk-base;
            world base {
                import grepx:plugin/types@1.0.0;
                import grepx:plugin/log@1.0.0;
                export grepx:plugin/describe@1.0.0;
            }",
        path: "../../wit",
        world: "grepx:sdk-base/base",
        generate_all,
        runtime_path: "grepx_plugin_sdk::glue::wit_bindgen::rt",
        default_bindings_module: "grepx_plugin_sdk::bindings::base",
        pub_export_macro: true,
        export_macro_name: "export_describe",
    });
}

pub mod activity {
    wit_bindgen::generate!({
        inline: "package grepx:sdk-activity;
            world activity-only { export grepx:plugin/activity@1.0.0; }",
        path: "../../wit",
        world: "grepx:sdk-activity/activity-only",
        with: {
            "grepx:plugin/types@1.0.0": crate::bindings::base::grepx::plugin::types,
            "grepx:plugin/activity@1.0.0": generate,
        },
        runtime_path: "grepx_plugin_sdk::glue::wit_bindgen::rt",
        default_bindings_module: "grepx_plugin_sdk::bindings::activity",
        pub_export_macro: true,
        export_macro_name: "export_activity_interface",
    });
}

pub mod durable {
    wit_bindgen::generate!({
        inline: "package grepx:sdk-durable;
            world durable-only { export grepx:plugin/durable@1.0.0; }",
        path: "../../wit",
        world: "grepx:sdk-durable/durable-only",
        with: {
            "grepx:plugin/types@1.0.0": crate::bindings::base::grepx::plugin::types,
            "grepx:plugin/durable@1.0.0": generate,
        },
        runtime_path: "grepx_plugin_sdk::glue::wit_bindgen::rt",
        default_bindings_module: "grepx_plugin_sdk::bindings::durable",
        pub_export_macro: true,
        export_macro_name: "export_durable_interface",
    });
}

pub mod policy {
    wit_bindgen::generate!({
        inline: "package grepx:sdk-policy;
            world policy-only { export grepx:plugin/policy@1.0.0; }",
        path: "../../wit",
        world: "grepx:sdk-policy/policy-only",
        with: {
            "grepx:plugin/types@1.0.0": crate::bindings::base::grepx::plugin::types,
            "grepx:plugin/policy@1.0.0": generate,
        },
        runtime_path: "grepx_plugin_sdk::glue::wit_bindgen::rt",
        default_bindings_module: "grepx_plugin_sdk::bindings::policy",
        pub_export_macro: true,
        export_macro_name: "export_policy_interface",
    });
}
