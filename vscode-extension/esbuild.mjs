// Builds dist/: the host, its worker, the webview and its style sheet.  --watch, --dev (no minifying), --webview (only it)
import { readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import tailwind from '@tailwindcss/postcss';
import esbuild from 'esbuild';
import postcss from 'postcss';

const has = (flag) => process.argv.includes(flag);
const dev = has('--dev') || has('--watch');

const tailwindcss = {
  name: 'tailwindcss',
  setup(build) {
    build.onLoad({ filter: /webview[\\/]style\.css$/ }, async ({ path }) => {
      const { css } = await postcss([tailwind({ optimize: !dev })]).process(await readFile(path, 'utf8'), { from: path });
      return { contents: css, loader: 'css' };
    });
  },
};

/** Of the hundreds of icons those that the sources name: the rules of all are as long as the panel's own style sheet. */
const icons = {
  name: 'icons',
  setup(build) {
    build.onLoad({ filter: /codicon\.css$/ }, async ({ path }) => {
      const names = (await readdir('webview', { recursive: true })).filter((name) => /\.tsx?$/.test(name)).map((name) => `webview/${name}`);
      const sources = (await Promise.all(names.map((name) => readFile(name, 'utf8')))).join('\n');
      const isNamed = (icon) => new RegExp(`['" -]${icon}['" ]`).test(sources);
      const rules = (await readFile(path, 'utf8')).replace(/^\.codicon-([\w-]+):before \{.*\}\n/gm, (rule, icon) => (isNamed(icon) ? rule : ''));
      return { contents: rules, loader: 'css', watchFiles: names };
    });
  },
};

/** React comes as CommonJS, around which stands a function; and a function is read twice: for where it ends, and when it runs. A module is read once. */
const reactAsModule = {
  name: 'react-as-module',
  setup(build) {
    const code = createRequire(import.meta.url).resolve('react-dom/client').replace('client.js', 'cjs/react-dom-client.production.js');
    build.onResolve({ filter: /^react-dom\/client$/ }, () => ({ path: code }));
    build.onLoad({ filter: /react-dom-client\.production\.js$/ }, async () => {
      const source = await readFile(code, 'utf8');
      const needed = [];
      const body = source.replace(/\brequire\("([^"]+)"\)/g, (_, name) => `needed${needed.push(name) - 1}`);
      const names = [...source.matchAll(/^exports\.(\w+) = /gm)].map(([, name]) => name);
      const imports = needed.map((name, index) => `import * as needed${index} from '${name}';`);
      return { contents: `${imports.join('\n')}\nconst exports = {};\n${body}\nexport const { ${names.join(', ')} } = exports;` };
    });
  },
};

const common = { bundle: true, minify: !dev, sourcemap: dev ? 'linked' : false, logLevel: 'warning', legalComments: 'none' };
const host = {
  ...common,
  entryPoints: { extension: 'src/extension.ts', worker: 'src/worker.ts' },
  outdir: 'dist',
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['vscode'],
};
const page = {
  ...common,
  outdir: 'dist',
  platform: 'browser',
  target: 'chrome120',
  format: 'iife',
  define: { 'process.env.NODE_ENV': dev ? '"development"' : '"production"' },
  // Beside a script that stands in the page there is no file.
  sourcemap: dev ? 'inline' : false,
};
// A module needs no function around all of it, which a browser that somebody watches reads again for each Error that React makes.
const webview = { ...page, format: 'esm', entryPoints: { webview: 'webview/main.tsx' }, loader: { '.ttf': 'copy' }, assetNames: '[name]', plugins: [tailwindcss, icons, ...(dev ? [] : [reactAsModule])] };
const beside = { ...page, entryPoints: { first: 'webview/first.ts', elements: 'webview/elements.ts' } };

const wanted = [...(has('--webview') ? [] : [host]), webview, beside];
if (has('--watch')) {
  for (const options of wanted) await (await esbuild.context(options)).watch();
} else {
  // What an earlier version built would be packaged, too.
  if (!has('--webview')) await rm('dist', { recursive: true, force: true });
  await Promise.all(wanted.map((options) => esbuild.build(options)));
  // The host puts them into the text of its page, where these would end them.
  for (const name of ['dist/first.js', 'dist/webview.js', 'dist/webview.css']) {
    if (/<!--|<\/(script|style)/i.test(await readFile(name, 'utf8'))) throw new Error(`${name} cannot stand in a page`);
  }
}
