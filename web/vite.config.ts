import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const api = process.env.PENSTOCK_API ?? 'http://127.0.0.1:8090';

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // The gateway of an office network may be slow: what every screen needs is one chunk per upstream, so that a release of ours
    // leaves the large ones cached. Charts load with the room page alone.
    rollupOptions: {
      output: {
        manualChunks(id) {
          if (!id.includes('node_modules')) return undefined;
          if (/node_modules\/(echarts|zrender|tslib)\//.test(id)) return 'charts';
          if (/node_modules\/(antd|@ant-design|@rc-component|rc-[a-z-]+|@emotion|stylis|dayjs)\//.test(id)) return 'antd';
          return 'base';
        },
      },
    },
    chunkSizeWarningLimit: 1200,
  },
  server: { proxy: { '/api': { target: api, changeOrigin: false } } },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
