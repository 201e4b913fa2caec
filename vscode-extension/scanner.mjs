// Compiles assembly/ into src/data/scanner.generated.ts, which is checked in: only who changes the scanner needs the compiler.
import { writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import asc from 'assemblyscript/asc';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const FILE = 'src/data/scanner.generated.ts';

/** The text of the generated file. */
export async function compiled() {
  let binary;
  const options = ['--runtime', 'stub', '--optimizeLevel', '3', '--noAssert', '--enable', 'simd', '--use', 'abort='];
  const { error, stderr } = await asc.main(['assembly/scanner.ts', '--baseDir', HERE, '--outFile', 'scanner.wasm', ...options], {
    writeFile: (_, contents) => {
      binary = contents;
    },
  });
  if (error) throw new Error(`assembly/ does not compile: ${error.message}\n${stderr}`);
  return `/** assembly/ as WebAssembly in Base64. Made by \`npm run scanner\`; do not edit. */\nexport const SCANNER =\n  '${Buffer.from(binary).toString('base64')}';\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await writeFile(HERE + FILE, await compiled());
}
