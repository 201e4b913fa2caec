/** Takes secrets and the secret parts of URLs out of texts before they are shown, as src/attune_monitoring/redaction.py does. */

export const MASK = '***';

/** Longest text that is looked through; what is beyond is left out. */
const LONGEST = 1_000_000;
/** Of a text that is cut, this much of its end: a secret that is cut off may be too short to be recognised. */
const MARGIN = 512;

// Whoever has a webhook's URL may post to it, so its path is a secret as well.
const WEBHOOK_HOST = new RegExp(
  '^(?:hooks\\.slack(?:-gov)?\\.com|(?:\\w+\\.)?discord(?:app)?\\.com|chat\\.googleapis\\.com|hooks\\.zapier\\.com|' +
    'api\\.telegram\\.org|maker\\.ifttt\\.com|webhook\\.site|outlook\\.office(?:365)?\\.com|' +
    '[\\w.-]+\\.(?:webhook\\.office\\.com|logic\\.azure\\.com|m\\.pipedream\\.net))$',
  'i',
);
// A run of letters and digits this long is a generated key; model names and UUIDs are divided by hyphens.
const RANDOM_RUN = /(?<!\w)(?=\w{0,80}[0-9])(?=\w{0,80}[A-Za-z])\w{20,}/g;
const URL_IN_TEXT = /(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,20}:\/\/[^\s"'<>\\]+/g;
const AFTER_URL = /[.,;:!?)\]}]+$/;

// Secrets that are known by their shape, wherever they stand.
const SHAPES = new RegExp(
  [
    '-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\\s\\S]*?(?:-----END [A-Z ]{0,40}-----|$)',
    '(?<![A-Za-z0-9])(?:' +
      [
        '(?:sk[-_]|[pr]k-lf-|[pr]k_(?:live|test)_)[A-Za-z0-9_*.-]{8,}', // OpenAI, Anthropic, Langfuse, Stripe
        'xox[a-z](?:\\.xox[a-z])?-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}',
        '(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}',
        'gh[oprsu]_[A-Za-z0-9]{16,}|github_pat_\\w{16,}|gl[a-z]{2,6}-[\\w-]{16,}',
        'AIza[\\w-]{30,}|ya29\\.[\\w.-]{10,}',
        '(?:hf|gsk|r8|npm|whsec|lsv2_pt|lsv2_sk|dop_v1|tgp_v1)_[\\w-]{16,}',
        '(?:xai|pplx|nvapi|tvly|pypi|fw|csk)-[\\w-]{16,}',
        'SG\\.[\\w-]{10,}\\.[\\w-]{10,}',
        'eyJ[\\w-]{8,}(?:\\.[\\w-]{4,}){1,4}', // JSON Web Token
        '\\d{6,12}:AA[\\w-]{30,}', // Telegram bot
      ].join('|') +
      ')',
  ].join('|'),
  'g',
);

// A name that says that its value is secret: `name=value`, `name: value`, JSON, a printed dict.
const SECRET_NAME =
  '(?:api[_-]?key|(?:access|account|subscription|ingestion|license|private|signing|secret)[_-]?key|secret|token|' +
  'password|passwd|passphrase|pwd|[_-]signature|credentials?)';
const ASSIGN = '(?:\\\\{0,3}["\'])?[ \\t]{0,3}(?::|={1,2}>?)[ \\t]{0,3}';
const PAIR = new RegExp(`(${SECRET_NAME}${ASSIGN})(?:\\\\{0,3}(["'])[^"'\\\\\\r\\n]+|[^\\s"'&,;)}\\]<>\\\\]+)`, 'gi');
const AUTHORIZATION = new RegExp(
  `(?<![\\w-])((?:proxy-)?authorization${ASSIGN}(?:\\\\{0,3}["'])?)` +
    '(?:(?:digest|aws4-hmac-sha256)\\b[^\\r\\n]*|(?:[a-z][\\w-]{2,20}[ \\t]+)?[^\\s"\',;\\\\]+)',
  'gi',
);
const COOKIE = new RegExp(`(?<![\\w-])((?:set-)?cookie${ASSIGN}(?:\\\\{0,3}["'])?)[^\\r\\n"'\\\\]+`, 'gi');
const SCHEME = /(?<![A-Za-z0-9])((?:bearer|basic)[ \t]+)(?=[^\s"']{0,200}[0-9._~+/=-]|[^\s"']{20})[\w.~+/=-]{6,}/gi;
// HTTP libraries print path and query apart from their host.
const WEBHOOK_PATH = /(\/(?:services|webhooks|triggers|workflows)\/)[\w:-]+(?:\/[\w:-]+)+|(\/bot)\d+:[\w-]+/gi;
const BARE_QUERY = /(?<=url: )(\/[^\s?"']*)\?[^\s"')]*/g;

const SECRET_KEY = new RegExp(`(?:^|[_.-])${SECRET_NAME}$|^(?:proxy-)?authorization$|^(?:set-)?cookie$`, 'i');

/** The text without API keys, tokens, passwords, credentials and queries of URLs, and webhook paths. */
export function redact(text: string): string {
  return text.length > LONGEST ? `${scrub(text.slice(0, LONGEST)).slice(0, -MARGIN)}…` : scrub(text);
}

/** A value of JSON with each of its texts redacted, and how many of them had to be. */
export function redactValue(value: unknown): { readonly value: unknown; readonly masked: number } {
  let masked = 0;
  const clean = (one: unknown, key: string): unknown => {
    if (typeof one === 'string') {
      const shown = SECRET_KEY.test(key) && one ? MASK : redact(one);
      if (shown !== one) masked += 1;
      return shown;
    }
    if (Array.isArray(one)) return one.map((item) => clean(item, key));
    if (one !== null && typeof one === 'object') {
      return Object.fromEntries(Object.entries(one).map(([name, item]) => [redact(name), clean(item, name)]));
    }
    return one;
  };
  return { value: clean(value, ''), masked };
}

function scrub(text: string): string {
  return text
    .replace(SHAPES, MASK)
    .replace(URL_IN_TEXT, (found) => {
      const url = found.replace(AFTER_URL, '');
      return safeUrl(url) + found.slice(url.length);
    })
    .replace(BARE_QUERY, '$1')
    .replace(WEBHOOK_PATH, (_, services?: string, bot?: string) => `${services ?? bot ?? ''}${MASK}`)
    .replace(AUTHORIZATION, `$1${MASK}`)
    .replace(COOKIE, `$1${MASK}`)
    .replace(PAIR, (_, name: string, quote?: string) => `${name}${quote ?? ''}${MASK}`)
    .replace(SCHEME, `$1${MASK}`);
}

/** Scheme, host, port and path of a URL: without user, password, query, fragment, and what in a path looks like a key. */
function safeUrl(url: string): string {
  const parts = /^([^:]+):\/\/([^/?#]*)([^?#]*)/.exec(url);
  const [, scheme, authority, path] = parts ?? [];
  const address = authority?.slice(authority.lastIndexOf('@') + 1);
  if (!scheme || !address) return MASK;
  const host = address.replace(/:\d*$/, '');
  if (WEBHOOK_HOST.test(host)) return `${scheme}://${address}/${MASK}`;
  return `${scheme}://${address}${(path ?? '').replace(SHAPES, MASK).replace(RANDOM_RUN, MASK)}`;
}
