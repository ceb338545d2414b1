import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import tailwindcss from "@tailwindcss/vite";
import { defineConfig, type Plugin } from "vite";

import { ICONS } from "./src/icon-names.ts";

/** One SVG file with a <symbol> per icon: pages point into it, so no icon is repeated in markup or script. */
function iconSprite(): Plugin {
  return {
    name: "icon-sprite",
    apply: "build",
    generateBundle() {
      const folder = join(dirname(createRequire(import.meta.url).resolve("lucide-static/package.json")), "icons");
      const symbols = ICONS.map((name) => {
        const svg = readFileSync(join(folder, `${name}.svg`), "utf8");
        const inner = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"));
        return `<symbol id="${name}" viewBox="0 0 24 24">${inner.replace(/\s*\n\s*/g, "")}</symbol>`;
      });
      this.emitFile({
        type: "asset",
        name: "icons.svg",
        originalFileName: "src/icons.svg",
        source: `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`,
      });
    },
  };
}

export default defineConfig({
  // Relative, so that the files work under whatever address static files are served from.
  base: "./",
  plugins: [tailwindcss(), iconSprite()],
  build: {
    outDir: "dist",
    manifest: true,
    target: ["chrome123", "firefox120", "safari17.5"],
    modulePreload: { polyfill: false },
    // A data: URL is refused by the content policy for fonts, and icons are cached better as files.
    assetsInlineLimit: 0,
    rollupOptions: {
      input: ["src/site.css", "src/chat.css", "src/admin.css", "src/site.ts", "src/chat.ts", "src/checkout.ts"],
    },
  },
});
