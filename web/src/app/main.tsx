import { createRoot } from 'react-dom/client';

import { startI18n } from '../lib/i18n';
import { App } from './App';
import { signStyleElements } from './nonce';
import './styles.css';

signStyleElements();
await startI18n();
const root = document.getElementById('root');
if (!root) throw new Error('index.html has no root');
createRoot(root).render(<App />);
