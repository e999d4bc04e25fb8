// A JupyterLab extension without a build: a module-federation container written by hand.
// JupyterLab calls init() with the modules that it shares, then get("./extension").
"use strict";
var _JUPYTERLAB;
(() => {
  let shared = null;

  // one of the modules that JupyterLab shares; each is there once, under its version
  async function use(name) {
    const versions = Object.values(shared[name]);
    const entry = versions.find(version => version.loaded) || versions[0];
    return (await entry.get())();
  }

  // "14:32", or with the day where that is another one
  function clock(secondsFromNow) {
    const end = new Date(Date.now() + 1000 * secondsFromNow);
    const time = end.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    return end.toDateString() === new Date().toDateString() ? time : `${end.toLocaleDateString()} ${time}`;
  }

  class Warnings {
    constructor(Notification, ServerConnection, URLExt) {
      this.Notification = Notification;
      this.ServerConnection = ServerConnection;
      this.settings = ServerConnection.makeSettings();
      this.url = URLExt.join(this.settings.baseUrl, "afkit", "lifetime");
      this.shown = new Map(); // kind of end → {id, message}
    }

    async request(method) {
      const answer = await this.ServerConnection.makeRequest(this.url, { method }, this.settings);
      if (!answer.ok) {
        throw new Error(`The session's lifetime could not be read: ${answer.status}`);
      }
      return answer.json();
    }

    // asks, shows, and comes back when the server says that something may have changed
    async follow() {
      let next = 60;
      try {
        const state = await this.request("GET");
        next = state.next;
        this.show(state.warnings);
      } catch (error) {
        console.warn(error);
      }
      clearTimeout(this.timer);
      if (next !== null) {
        this.timer = setTimeout(() => void this.follow(), 1000 * next);
      }
    }

    show(warnings) {
      const kinds = new Set(warnings.map(warning => warning.kind));
      for (const [kind, { id }] of this.shown) {
        if (!kinds.has(kind)) {
          this.Notification.dismiss(id);
          this.shown.delete(kind);
        }
      }
      for (const warning of warnings) {
        this.tell(warning);
      }
    }

    tell({ kind, message, left }) {
      const text = `${message} (${clock(left)})`;
      const before = this.shown.get(kind);
      if (before && before.text === text) {
        return;
      }
      // update() says false once the person has closed it; what was closed stays closed
      if (before) {
        this.Notification.update({ id: before.id, message: text, type: "warning", autoClose: false });
        this.shown.set(kind, { id: before.id, text });
        return;
      }
      const actions = kind === "idle" ? [{ label: "Keep it running", callback: () => void this.keep() }] : [];
      this.shown.set(kind, { id: this.Notification.warning(text, { autoClose: false, actions }), text });
    }

    async keep() {
      try {
        await this.request("POST");
      } finally {
        await this.follow();
      }
    }
  }

  const plugin = {
    id: "afkit:lifetime",
    description: "Warns before the session ends.",
    autoStart: true,
    activate: () => {
      void Promise.all([use("@jupyterlab/apputils"), use("@jupyterlab/services"), use("@jupyterlab/coreutils")]).then(
        ([apputils, services, coreutils]) =>
          new Warnings(apputils.Notification, services.ServerConnection, coreutils.URLExt).follow()
      );
    }
  };

  _JUPYTERLAB = _JUPYTERLAB === undefined ? {} : _JUPYTERLAB;
  _JUPYTERLAB.afkit = {
    init: scope => {
      shared = scope;
    },
    get: async () => () => ({ __esModule: true, default: plugin })
  };
})();
