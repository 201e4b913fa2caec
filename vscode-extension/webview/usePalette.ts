/** The colours of the charts as the editor's theme has them now. */

import { useEffect, useState } from 'react';
import type { Settings } from '../shared/protocol';
import type { Palette } from './palette';
import { readPalette } from './palette';

/** Read again when the theme changes: the editor then changes the classes of the body and the variables of the root. */
export function usePalette(settings: Pick<Settings, 'chartTheme' | 'chartColors'>): Palette {
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const again = (): void => { setTheme((count) => count + 1); };
    const observer = new MutationObserver(again);
    observer.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-vscode-theme-id'] });
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style'] });
    const motion = matchMedia('(prefers-reduced-motion: reduce)');
    motion.addEventListener('change', again);
    return () => {
      observer.disconnect();
      motion.removeEventListener('change', again);
    };
  }, []);
  return paletteOf(settings, theme);
}

let last: { readonly theme: number; readonly settings: string; readonly palette: Palette } | undefined;

/** One palette for all charts of a theme: they redraw only when it is another. */
function paletteOf(settings: Pick<Settings, 'chartTheme' | 'chartColors'>, theme: number): Palette {
  const key = `${settings.chartTheme} ${settings.chartColors.join()}`;
  if (last?.theme !== theme || last.settings !== key) {
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches || document.body.classList.contains('vscode-reduce-motion');
    last = { theme, settings: key, palette: readPalette(settings, getComputedStyle(document.body), still) };
  }
  return last.palette;
}
