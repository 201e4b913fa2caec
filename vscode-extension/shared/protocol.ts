/**
 * What the extension host and the webview say to each other.
 *
 * The webview asks, with one tagged interface a question; the host answers each with what `Answers` names for its tag,
 * or refuses it. The host tells, unasked, what `Told` lists. Answers are whole: the webview holds no data of its own.
 * Times are milliseconds since the epoch (with a fraction), money is USD, `null` is "not known" and never 0.
 */

// --- what is looked at -------------------------------------------------------------------------------------------

export const RANGES = ['today', '7d', '30d', 'all', 'custom'] as const;
export type RangeName = (typeof RANGES)[number];

/** Local calendar days: 7d is today and the six days before it. */
export interface Range {
  readonly name: RangeName;
  /** First and last day, both included, as YYYY-MM-DD; only of `custom`. */
  readonly from?: string;
  readonly to?: string;
}

export const OUTCOMES = ['ok', 'error', 'cancelled'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** An empty list allows everything; the empty text among the names stands for calls that have none. */
export interface Filters {
  readonly workflows: readonly string[];
  readonly providers: readonly string[];
  readonly tiers: readonly string[];
  readonly outcomes: readonly Outcome[];
  /** Part of workflow, stage, provider, model, tier, user, session, project or error, in any case. */
  readonly text: string;
}

export const NO_FILTERS: Filters = { workflows: [], providers: [], tiers: [], outcomes: [], text: '' };

export interface View {
  readonly range: Range;
  readonly filters: Filters;
}

export const SORT_COLUMNS = [
  'time', 'workflow', 'provider', 'model', 'tier', 'cost', 'tokens', 'status', 'latency',
] as const;
export type SortColumn = (typeof SORT_COLUMNS)[number];

export interface Sort {
  readonly column: SortColumn;
  readonly descending: boolean;
}

export const NEWEST_FIRST: Sort = { column: 'time', descending: true };

/** Rows in one answer at most. */
export const MOST_ROWS = 500;

// --- figures, counted as docs/figures.md says ---------------------------------------------------------------------

export interface Figures {
  readonly calls: number;
  readonly ok: number;
  readonly error: number;
  readonly cancelled: number;
  /** Sum of the known costs. */
  readonly cost: number;
  readonly unknownCost: number;
  readonly baseline: number;
  readonly savings: number;
  /** 0 to 100, of the baseline; null where there is none. */
  readonly savingsPercent: number | null;
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly reasoning: number;
  readonly retries: number;
  readonly fallbacks: number;
  readonly truncated: number;
  /** 0 to 100; null where nothing was ok or failed. */
  readonly successRate: number | null;
  /** Of calls with outcome ok, in milliseconds; null where there are none. */
  readonly averageLatency: number | null;
}

export interface Group extends Figures {
  /** The empty text where calls have none. */
  readonly name: string;
}

export interface WorkflowGroup extends Group {
  /** Runs of it that began in the period, nested ones too; the filters leave them alone. */
  readonly runs: number;
  /** Cost divided by runs; null where there are none, or where filters leave out calls of them. */
  readonly averageCost: number | null;
}

export const SLICES = ['hour', 'day', 'week'] as const;
export type Slice = (typeof SLICES)[number];

/** A part of the period, by the local calendar; weeks begin on Monday. */
export interface Part {
  readonly since: number;
  readonly until: number;
  readonly figures: Figures;
  /** Cost by provider and by tier, known ones only. */
  readonly byProvider: readonly (readonly [name: string, cost: number])[];
  readonly byTier: readonly (readonly [name: string, cost: number])[];
}

// --- alerts -------------------------------------------------------------------------------------------------------

export interface FiringAlert {
  readonly rule: string;
  readonly severity: string;
  readonly condition: string;
  readonly value: number | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly since: number | null;
  readonly silenced: boolean;
}

/** `none`: no watcher ever ran here. `stale`: none runs now, what was firing is history. */
export type AlertsState =
  | { readonly state: 'none' }
  | { readonly state: 'unreadable'; readonly problem: string }
  | { readonly state: 'running' | 'stale'; readonly evaluatedAt: number; readonly rules: number;
      readonly firing: readonly FiringAlert[]; readonly pending: number; readonly faults: readonly string[] };

// --- answers ------------------------------------------------------------------------------------------------------

/** What is read and where; `missing` is a folder that is not there yet. */
export interface Source {
  readonly path: string;
  /** Short, for the heading: the workspace folder's name, and the path below it. */
  readonly label: string;
  readonly state: 'ready' | 'missing' | 'unreadable';
  readonly problem: string | null;
  /** All folders of a multi-root workspace that could be looked at. */
  readonly choices: readonly { readonly path: string; readonly label: string }[];
}

/** What was not counted, whatever the time. */
export interface Notes {
  readonly skippedLines: number;
  readonly duplicates: number;
  readonly tests: number;
}

export interface Overview {
  /** Grows with each change of the data; answers of one revision belong together. */
  readonly revision: number;
  readonly source: Source;
  /** Records there are, at any time; 0 shows the first-run guide. */
  readonly records: number;
  readonly period: { readonly since: number; readonly until: number };
  readonly totals: Figures;
  /** Of the period before, as `empathy telemetry summary` compares; null for `all` and where nothing was then. */
  readonly before: Figures | null;
  readonly slice: Slice;
  readonly parts: readonly Part[];
  /** All of them, dearest first. */
  readonly providers: readonly Group[];
  readonly tiers: readonly Group[];
  /** The five dearest. */
  readonly workflows: readonly WorkflowGroup[];
  /** What the filters can offer: the names that occur in the period. */
  readonly offered: { readonly workflows: readonly string[]; readonly providers: readonly string[]; readonly tiers: readonly string[] };
  readonly notes: Notes;
  readonly alerts: AlertsState;
  readonly readAt: number;
  /** The rows that were asked for with it; null where none were. */
  readonly page: Page | null;
}

/** Where a record stands. */
export interface RecordKey {
  readonly segment: string;
  readonly offset: number;
}

export interface Row {
  readonly key: RecordKey;
  readonly time: number;
  readonly workflow: string;
  readonly stage: string;
  readonly provider: string;
  readonly model: string;
  readonly tier: string;
  readonly cost: number | null;
  readonly input: number;
  readonly output: number;
  readonly outcome: Outcome;
  readonly error: string;
  readonly latency: number;
}

export interface Page {
  readonly revision: number;
  /** Rows that the view has in all. */
  readonly total: number;
  readonly offset: number;
  readonly rows: readonly Row[];
}

/** A bar of the waterfall. */
export interface Step {
  readonly kind: 'run' | 'stage' | 'call';
  readonly name: string;
  readonly depth: number;
  readonly begin: number;
  readonly end: number;
  /** False where the record says how long it took and not when it began. */
  readonly placed: boolean;
  readonly cost: number | null;
  readonly outcome: Outcome | 'skipped';
  readonly tier: string;
  readonly model: string;
  /** Of a call: its record. */
  readonly key: RecordKey | null;
  /** That it is the record which was asked for. */
  readonly here: boolean;
}

export interface Detail {
  readonly row: Row;
  /** Names and values as text, in an order that makes sense, secrets and contents left out. */
  readonly facts: readonly { readonly name: string; readonly value: string }[];
  /** The run that it belongs to; empty where it has none. */
  readonly steps: readonly Step[];
  readonly run: { readonly id: string; readonly name: string; readonly begin: number; readonly duration: number;
                  readonly cost: number | null } | null;
  readonly code: { readonly file: string; readonly line: number } | null;
}

export const REFRESH_SECONDS = [0, 10, 30, 60] as const;
export const RETENTION_DAYS = [0, 7, 30, 90] as const;
export const CHART_THEMES = ['editor', 'colorblind', 'custom'] as const;

export interface Settings {
  /** Seconds between looks beside the file watcher; 0 is by hand only. */
  readonly refreshSeconds: number;
  /** Days after which `clear` and the automatic retention move whole segments away; 0 keeps everything. */
  readonly retentionDays: number;
  readonly chartTheme: (typeof CHART_THEMES)[number];
  /** Colours of `custom`, as #rrggbb; at most eight. */
  readonly chartColors: readonly string[];
  /** The folder as it is set; empty finds it by itself. */
  readonly folder: string;
  /** No charts, for slow machines. */
  readonly light: boolean;
  readonly includeTests: boolean;
}

export interface Hello {
  readonly settings: Settings;
  /** As it was when the panel was last closed. */
  readonly view: View;
  readonly slice: Slice | null;
  readonly locale: string;
  /** Texts in the editor's language, by their English ones; empty for English. */
  readonly texts: Readonly<Record<string, string>>;
  /** False in a workspace that is not trusted. */
  readonly trusted: boolean;
  /** What the page is to show, so that it need not ask; null while the records are read for the first time. */
  readonly overview: Overview | null;
}

// --- questions ----------------------------------------------------------------------------------------------------

/** Which rows of a view. */
export interface Rows { readonly sort: Sort; readonly offset: number; readonly limit: number }

/** The first question of a webview, also after it was hidden and made anew. `looking: null`: at what was looked at last. */
export interface HelloQuestion {
  readonly type: 'hello'; readonly looking: { readonly view: View; readonly slice: Slice | null } | null; readonly rows: Rows | null;
}
/** `slice: null` takes what fits the period; `rows: null` asks for none. */
export interface OverviewQuestion { readonly type: 'overview'; readonly view: View; readonly slice: Slice | null; readonly rows: Rows | null }
export interface PageQuestion extends Rows { readonly type: 'page'; readonly view: View }
export interface DetailQuestion { readonly type: 'detail'; readonly key: RecordKey }
/** Open the code of a record: its file and line, else where its workflow's name is decorated. */
export interface OpenCodeQuestion { readonly type: 'openCode'; readonly key: RecordKey }
/** Show the line as it stands in the file, read-only. */
export interface OpenRecordQuestion { readonly type: 'openRecord'; readonly key: RecordKey }
/** Ask where to, and write what the view shows as CSV. */
export interface ExportQuestion { readonly type: 'export'; readonly view: View; readonly sort: Sort }
/** Ask whether to, and move the records to the archive. */
export interface ClearQuestion { readonly type: 'clear' }
/** Look at the files now. */
export interface RefreshQuestion { readonly type: 'refresh' }
export interface SaveSettingsQuestion { readonly type: 'saveSettings'; readonly settings: Partial<Settings> }
export interface ChooseFolderQuestion { readonly type: 'chooseFolder'; readonly path: string | null }
export interface OpenLinkQuestion { readonly type: 'openLink'; readonly link: 'documentation' | 'guide' | 'settings' | 'report' }
/** While somebody types, scrolls or has a menu open, nothing is redrawn under the pointer. */
export interface BusyQuestion { readonly type: 'busy'; readonly busy: boolean }

export type Question =
  | HelloQuestion | OverviewQuestion | PageQuestion | DetailQuestion | OpenCodeQuestion | OpenRecordQuestion
  | ExportQuestion | ClearQuestion | RefreshQuestion | SaveSettingsQuestion | ChooseFolderQuestion
  | OpenLinkQuestion | BusyQuestion;

export interface Answers {
  hello: Hello;
  overview: Overview;
  page: Page;
  detail: Detail;
  /** `searched`: the record named no place, its workflow's name was found. `nowhere`: nothing was. */
  openCode: { readonly opened: 'recorded' | 'searched' | 'nowhere' };
  openRecord: null;
  /** null: cancelled. */
  export: { readonly path: string; readonly rows: number } | null;
  clear: { readonly path: string; readonly segments: number } | null;
  refresh: { readonly revision: number };
  saveSettings: Settings;
  chooseFolder: Source | null;
  openLink: null;
  busy: null;
}

export type Answer<Q extends Question> = Answers[Q['type']];

// --- what the host tells --------------------------------------------------------------------------------------------

/** There is something new to ask for. */
export interface ChangedTold { readonly type: 'changed'; readonly revision: number }
/** A cold read goes on; 0 to 1. */
export interface ReadingTold { readonly type: 'reading'; readonly done: number }
export interface SettingsTold { readonly type: 'settings'; readonly settings: Settings }
/** A command asks for another view. */
export interface ShowTold { readonly type: 'show'; readonly view: Partial<View>; readonly page?: 'settings' | 'overview' }

export type Told = ChangedTold | ReadingTold | SettingsTold | ShowTold;

// --- envelopes ----------------------------------------------------------------------------------------------------

export interface AskedMessage { readonly kind: 'asked'; readonly id: number; readonly question: Question }
export interface AnsweredMessage { readonly kind: 'answered'; readonly id: number; readonly answer: unknown }
export interface RefusedMessage { readonly kind: 'refused'; readonly id: number; readonly problem: string }
export interface ToldMessage { readonly kind: 'told'; readonly told: Told }

export type ToHost = AskedMessage;
export type ToWebview = AnsweredMessage | RefusedMessage | ToldMessage;
