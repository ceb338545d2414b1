/* A stand-in for Razorpay's checkout.js: the same constructor, options and answers, and a frame that belongs to
   the sandbox. It sets styles one by one and writes no markup, so that the strictest content policy is content. */
(function () {
  "use strict";

  const origin = new URL(document.currentScript.src).origin;
  const SENT = ["key", "subscription_id", "order_id", "name", "description"];

  function styled(element, styles) {
    Object.assign(element.style, styles);
    return element;
  }

  function address(options, inFrame) {
    const query = new URLSearchParams();
    for (const name of SENT) if (options[name]) query.set(name, String(options[name]));
    const prefill = options.prefill || {};
    for (const name of ["email", "contact", "method"]) if (prefill[name]) query.set(name, String(prefill[name]));
    if (options.callback_url) query.set("callback_url", new URL(options.callback_url, location.href).href);
    if (options.subscription_card_change) query.set("card_change", "1");
    if (inFrame) query.set("origin", location.origin);
    return origin + "/razorpay/checkout/frame?" + query;
  }

  class Razorpay {
    constructor(options) {
      if (!options || !options.key) throw new Error("No key passed");
      if (!options.subscription_id && !options.order_id) throw new Error("No subscription_id or order_id passed");
      this._options = options;
      this._modal = options.modal || {};
      this._listeners = {};
      this._hear = (event) => this._heard(event);
      this._press = (event) => {
        if (event.key === "Escape" && this._modal.escape !== false) this._dismiss();
      };
    }

    on(name, listener) {
      (this._listeners[name] = this._listeners[name] || []).push(listener);
      return this;
    }

    open() {
      const options = this._options;
      if (options.callback_url && options.redirect) {
        location.assign(address(options, false));
        return this;
      }
      if (this._overlay) return this;
      this._before = document.activeElement;
      this._overflow = document.documentElement.style.overflow;
      document.documentElement.style.overflow = "hidden";
      const overlay = styled(document.createElement("div"), {
        position: "fixed",
        inset: "0",
        zIndex: "2147483647",
        display: "flex",
        alignItems: "center",
        justifyContent: "center",
        background: "rgba(10, 12, 18, .65)",
      });
      overlay.className = "razorpay-container";
      overlay.setAttribute("role", "dialog");
      overlay.setAttribute("aria-modal", "true");
      overlay.setAttribute("aria-label", "Checkout (sandbox)");
      overlay.addEventListener("click", () => {
        if (this._modal.backdropclose) this._dismiss();
      });
      const wide = window.innerWidth > 480;
      const frame = styled(document.createElement("iframe"), {
        border: "0",
        width: "100%",
        maxWidth: "420px",
        height: "100%",
        maxHeight: wide ? "720px" : "none",
        borderRadius: wide ? "12px" : "0",
        background: "#fff",
      });
      frame.className = "razorpay-checkout-frame";
      frame.title = "Checkout (sandbox)";
      frame.allow = "payment";
      frame.src = address(options, true);
      overlay.append(frame);
      document.body.append(overlay);
      this._overlay = overlay;
      this._frame = frame;
      window.addEventListener("message", this._hear);
      window.addEventListener("keydown", this._press);
      frame.addEventListener("load", () => frame.focus());
      if (options.timeout) this._timer = setTimeout(() => this._dismiss(true), options.timeout * 1000);
      return this;
    }

    close() {
      if (!this._overlay) return;
      clearTimeout(this._timer);
      window.removeEventListener("message", this._hear);
      window.removeEventListener("keydown", this._press);
      this._overlay.remove();
      this._overlay = this._frame = null;
      document.documentElement.style.overflow = this._overflow;
      if (this._before && this._before.focus) this._before.focus();
    }

    _dismiss(late) {
      if (!this._overlay) return;
      if (!late && this._modal.confirm_close && !window.confirm("Leave the payment?")) return;
      this.close();
      if (this._modal.ondismiss) this._modal.ondismiss(late ? "timeout" : undefined);
    }

    _heard(event) {
      if (!this._frame || event.origin !== origin || event.source !== this._frame.contentWindow) return;
      const said = event.data || {};
      if (said.kind === "dismiss") this._dismiss();
      else if (said.kind === "success") this._paid(said.data);
      else if (said.kind === "failed") this._failed(said.data);
    }

    _paid(answer) {
      const options = this._options;
      this.close();
      if (options.callback_url) {
        const query = new URLSearchParams(answer);
        query.set("to", new URL(options.callback_url, location.href).href);
        location.assign(origin + "/razorpay/checkout/return?" + query);
      } else if (options.handler) options.handler(answer);
    }

    _failed(answer) {
      for (const listener of this._listeners["payment.failed"] || []) listener(answer);
      if (this._options.retry === false || (this._options.retry && this._options.retry.enabled === false)) {
        this.close();
        if (this._modal.ondismiss) this._modal.ondismiss();
      }
    }
  }

  Razorpay.open = (options) => new Razorpay(options).open();
  window.Razorpay = Razorpay;
})();
