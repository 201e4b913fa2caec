// What runs in the pages of the editor, before their own scripts: notes when something was asked for and when it was drawn.

/** Runs in every frame. Times are ms since the epoch, so that those of one frame can be set against those of another. */
export function notes() {
  const now = () => performance.timeOrigin + performance.now();
  const noted = { enter: NaN, waited: NaN, begin: NaN, overview: NaN, figures: NaN, charts: [] };
  window.noted = noted;

  window.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') noted.enter = performance.timeOrigin + event.timeStamp;
  }, true);

  // The page's own script is the one that listens; what was listened to or observed before, in the empty page, is gone by then.
  const listen = window.addEventListener;
  window.addEventListener = function (type, ...more) {
    if (type === 'message') {
      noted.begin = now();
      // How long the browser took to start the editor's service worker, through which all pages of webviews come.
      noted.waited = performance.getEntriesByType('navigation')[0]?.workerStart ?? 0;
      // When the first answer with figures arrives, and when they are painted.
      listen.call(this, type, ({ data }) => {
        const answer = data?.kind === 'answered' ? data.answer : null;
        if (Number.isNaN(noted.overview) && (answer?.totals ?? answer?.overview?.totals)) noted.overview = now();
      });
      new MutationObserver((_, observer) => {
        if (!document.querySelector('[data-figure=calls]')) return;
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => { if (Number.isNaN(noted.figures)) noted.figures = now(); }));
      }).observe(document, { childList: true, subtree: true });
    }
    return listen.call(this, type, ...more);
  };

  // When each canvas is drawn on for the first time; the drawing of a frame is over before the next task.
  const drawn = new Set();
  for (const method of ['fill', 'stroke', 'fillText']) {
    const original = CanvasRenderingContext2D.prototype[method];
    CanvasRenderingContext2D.prototype[method] = function (...given) {
      if (this.canvas.isConnected && !drawn.has(this.canvas)) {
        drawn.add(this.canvas);
        setTimeout(() => noted.charts.push(now()));
      }
      return original.apply(this, given);
    };
  }

  const text = (selector) => document.querySelector(selector)?.textContent;
  const rows = () => document.querySelector('[role=grid]')?.getAttribute('aria-rowcount');
  const isThere = {
    /** The cards and the list show something else than before, and nothing is waited for. */
    filter: () => {
      const [calls, count] = [text('[data-figure=calls]'), rows()];
      return () => text('[data-figure=calls]') !== calls && rows() !== count && !document.querySelector('.codicon-modifier-spin, .skeleton');
    },
    /** The virtual list is there, and its rows hold something. */
    list: () => () => document.querySelectorAll('[role=grid] [role=rowgroup] [role=row] [role=gridcell]:nth-child(4)').length > 0
      && document.querySelector('[role=grid] [role=rowgroup][style]') !== null,
  };

  /** The time from the next click until what it leads to is painted. */
  window.fromClick = (what) => new Promise((resolve) => {
    listen.call(window, 'click', (event) => {
      const isDone = isThere[what]();
      const look = () => {
        if (!isDone()) return;
        observer.disconnect();
        // Behind the frame that paints it.
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - event.timeStamp)));
      };
      const observer = new MutationObserver(look);
      observer.observe(document, { childList: true, subtree: true, characterData: true, attributes: true });
    }, { capture: true, once: true });
  });
}
