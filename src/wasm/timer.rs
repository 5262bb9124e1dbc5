//! The one timer of a shell.

use crate::time::{Duration, Instant};
use core::cell::RefCell;
use js_sys::Function;
use wasm_bindgen::prelude::*;

/// Longer waits are cut into pieces: `setTimeout` takes 31 bits, and a machine that slept is noticed within this.
const LONGEST: Duration = Duration::from_secs(600);

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(handle: &JsValue);
}

pub(super) struct Timer {
    _tick: Closure<dyn FnMut()>,
    callback: Function,
    armed: RefCell<Option<(Instant, JsValue)>>,
}

impl Timer {
    /// A timer that calls `tick`, which is to call [`Self::handle_fired`] first; `guard` makes of it what is called.
    pub(super) fn new(tick: impl FnMut() + 'static, guard: impl Fn(&JsValue) -> Function) -> Self {
        let tick = Closure::new(tick);
        Self { callback: guard(tick.as_ref()), _tick: tick, armed: RefCell::new(None) }
    }

    pub(super) fn handle_fired(&self) {
        self.armed.replace(None);
    }

    /// Sees to it that `tick` is called at `due` or earlier. A timer that is armed for an earlier time is left: an
    /// early call does no harm, and arming costs more than most messages.
    pub(super) fn arm(&self, due: Option<Instant>, now: Instant) {
        let Some(due) = due.map(|due| due.min(now + LONGEST)) else { return };
        if self.armed.borrow().as_ref().is_some_and(|(at, _)| *at <= due) {
            return;
        }
        self.disarm();
        #[allow(clippy::cast_precision_loss)]
        let wait = due.since(now).as_millis() as f64;
        let handle = set_timeout(&self.callback, wait);
        self.armed.replace(Some((due, handle)));
    }

    pub(super) fn disarm(&self) {
        if let Some((_, handle)) = self.armed.take() {
            clear_timeout(&handle);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}
