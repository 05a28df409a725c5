// Bundles the page into a folder. nginx sends the compressed copies as they are.
import { build } from 'esbuild';
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = fileURLToPath(new URL('.', import.meta.url));
const folder = process.argv[2] ?? join(here, '../../build/www');

// The licence requires its text in copies.
const licence = await readFile(join(here, 'node_modules/uplot/LICENSE'), 'utf8');
const notice = `/* Contains uPlot. ${licence.trim()} */`;

await rm(folder, { recursive: true, force: true });
await build({
  entryPoints: { app: join(here, 'src/main.ts'), style: join(here, 'style.css') },
  outdir: folder,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome111', 'firefox113', 'safari16.4'],
  banner: { js: notice, css: notice },
  logLevel: 'warning',
});
for (const name of ['index.html', 'icon.svg', 'signed_out.html']) await copyFile(join(here, name), join(folder, name));
for (const name of await readdir(folder)) {
  await writeFile(join(folder, `${name}.gz`), gzipSync(await readFile(join(folder, name)), { level: 9 }));
}
