/** When to look for new records: as soon as files change, at an interval beside that, and never while nobody sees it. */

/** What is done to look, and what tells that a file changed. */
export interface Eyes {
  look(): Promise<unknown>;
  watch(changed: () => void): { dispose(): void };
  failed(error: unknown): void;
}

export interface Watch {
  /** `open`: somebody sees a panel. `glance`: only the status bar shows. `closed`: nothing shows. */
  readonly attention: 'open' | 'glance' | 'closed';
  /** Seconds between looks while open; 0 is by hand only. */
  readonly seconds: number;
  /** While somebody uses the panel, what changed waits. */
  readonly busy: boolean;
}

/** A change is looked at this long after it, in ms, so that twenty lines are one look. */
const SETTLE = { open: 120, glance: 3_000 };

export class Watching {
  private now: Watch = { attention: 'closed', seconds: 0, busy: false };
  private watcher: { dispose(): void } | null = null;
  private settling: ReturnType<typeof setTimeout> | null = null;
  private interval: ReturnType<typeof setInterval> | null = null;
  private looking = false;
  /** Something changed that was not looked at. */
  private stale = false;

  constructor(private readonly eyes: Eyes) {}

  set(next: Watch): void {
    const before = this.now;
    this.now = next;
    if (this.watches(next) !== this.watches(before)) this.rewatch();
    if (next.attention !== before.attention || next.seconds !== before.seconds) this.restart();
    const opened = next.attention === 'open' && before.attention !== 'open';
    // While it was not seen nothing was watched, or not closely.
    if (opened && next.seconds > 0) this.stale = true;
    if (this.stale && !this.waits()) this.settle(0);
  }

  /** The folder is another one: watch that. */
  rewatch(): void {
    this.watcher?.dispose();
    this.watcher = this.watches(this.now) ? this.eyes.watch(() => this.changed()) : null;
  }

  /** Something else than a file makes what is shown out of date. */
  wake(): void {
    this.changed(0);
  }

  dispose(): void {
    this.set({ attention: 'closed', seconds: 0, busy: false });
    if (this.settling) clearTimeout(this.settling);
    this.settling = null;
  }

  private watches({ attention, seconds }: Watch): boolean {
    return attention !== 'closed' && seconds > 0;
  }

  private waits(): boolean {
    return this.now.busy || this.now.attention === 'closed';
  }

  private restart(): void {
    if (this.interval) clearInterval(this.interval);
    const { attention, seconds } = this.now;
    this.interval = attention === 'open' && seconds > 0 ? setInterval(() => this.changed(0), seconds * 1000) : null;
  }

  private changed(delay?: number): void {
    this.stale = true;
    if (!this.waits()) this.settle(delay ?? SETTLE[this.now.attention === 'open' ? 'open' : 'glance']);
  }

  /** One look for all changes of the delay; it is not put off by further ones, or a busy writer would never be seen. */
  private settle(delay: number): void {
    if (this.settling !== null) {
      if (delay > 0) return;
      clearTimeout(this.settling);
    }
    this.settling = setTimeout(() => {
      this.settling = null;
      void this.look();
    }, delay);
  }

  private async look(): Promise<void> {
    // Asked for again when this one is done, or when somebody sees it.
    if (this.looking || this.waits()) return;
    this.looking = true;
    this.stale = false;
    try {
      await this.eyes.look();
    } catch (error) {
      this.eyes.failed(error);
    } finally {
      this.looking = false;
    }
    if (this.stale && !this.waits()) this.settle(SETTLE.open);
  }
}

/** At each local midnight what is called today is another day. */
export function everyMidnight(run: () => void): { dispose(): void } {
  let timer: ReturnType<typeof setTimeout>;
  const plan = (): void => {
    const now = new Date();
    const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
    timer = setTimeout(() => {
      plan();
      run();
    }, midnight.getTime() - now.getTime() + 1000);
  };
  plan();
  return { dispose: () => clearTimeout(timer) };
}
