// Builds dist/: the host, its worker, the webview and its style sheet.  --watch, --dev (no minifying), --webview (only it)
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import tailwind from '@tailwindcss/postcss';
import esbuild from 'esbuild';
import postcss from 'postcss';

const has = (flag) => process.argv.includes(flag);
const dev = has('--dev') || has('--watch');

const tailwindcss = {
  name: 'tailwindcss',
  setup(build) {
    build.onLoad({ filter: /webview[\\/].*\.css$/ }, async ({ path }) => {
      const { css } = await postcss([tailwind({ optimize: !dev })]).process(await readFile(path, 'utf8'), { from: path });
      return { contents: css, loader: 'css' };
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
const webview = {
  ...common,
  entryPoints: { webview: 'webview/main.tsx' },
  outdir: 'dist',
  platform: 'browser',
  target: 'chrome120',
  format: 'iife',
  define: { 'process.env.NODE_ENV': dev ? '"development"' : '"production"' },
  loader: { '.ttf': 'file' },
  plugins: [tailwindcss],
};

await mkdir('dist', { recursive: true });
for (const name of ['codicon.css', 'codicon.ttf']) {
  await copyFile(`node_modules/@vscode/codicons/dist/${name}`, `dist/${name}`);
}
const wanted = has('--webview') ? [webview] : [host, webview];
if (has('--watch')) {
  for (const options of wanted) await (await esbuild.context(options)).watch();
} else {
  await Promise.all(wanted.map((options) => esbuild.build(options)));
}
