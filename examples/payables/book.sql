-- The buyer's books as the demo finds them: made-up companies, accounts that no bank keeps.
INSERT INTO company VALUES ('Halden Instruments B.V.', 'NL999000010B01');

INSERT INTO accounts VALUES
  ('EUR', 'NL45HALD0000000001', 'HALDNL2A', '10000.00'),
  ('SEK', 'SE6800000000000000000001', 'HALDSESS', '110000.00');

INSERT INTO suppliers VALUES
  ('brightwater', 'Brightwater Paper GmbH', 'DE999000011'),
  ('vandenberg', 'Van den Berg Elektro B.V.', 'NL999000021B01'),
  ('costa-azul', 'Costa Azul Catering S.L.', 'ESB99000022'),
  ('bellini', 'Officina Bellini S.r.l.', 'IT99900005555'),
  ('sjoberg', 'Sjöberg Verktyg AB', 'SE999000033301'),
  ('fenwick', 'Fenwick Tooling Ltd', 'GB999000044'),
  ('mercier', 'Atelier Mercier SAS', 'FR99999000066'),
  ('zarya', 'Zarya Marine Logistics OÜ', 'EE999000077'),
  ('kowalski', 'Kowalski Opakowania Sp. z o.o.', 'PL9990000888'),
  ('lumen-lys', 'Lumen & Lys A/S', 'DK99900010'),
  ('hibernia', 'Hibernia Data Ltd', 'IE9990011T');

INSERT INTO supplier_accounts VALUES
  ('brightwater', 'DE32000000000000123456'),
  ('vandenberg', 'NL36VDBE0000123456'),
  ('costa-azul', 'ES7800000000000000123456'),
  ('bellini', 'IT74X0000000000000000123456'),
  ('sjoberg', 'SE9100000000000000123456'),
  ('fenwick', 'GB50FENW00000000123456'),
  ('mercier', 'FR6400000000000000012345600'),
  ('zarya', 'EE230000000000123456'),
  ('kowalski', 'PL97000000000000000000123456'),
  ('lumen-lys', 'DK1400000000123456'),
  ('hibernia', 'IE29CLON00000000123456');

INSERT INTO orders VALUES
  ('PO-2026-0101', 'brightwater', 'EUR', '0'),
  ('PO-2026-0102', 'vandenberg', 'EUR', '50.00'),
  ('PO-2026-0103', 'costa-azul', 'EUR', '0'),
  ('PO-2026-0104', 'bellini', 'EUR', '0'),
  ('PO-2026-0105', 'sjoberg', 'SEK', '0'),
  ('PO-2026-0106', 'fenwick', 'GBP', '0'),
  ('PO-2026-0107', 'mercier', 'EUR', '0'),
  ('PO-2026-0108', 'zarya', 'EUR', '0'),
  ('PO-2026-0109', 'kowalski', 'EUR', '0'),
  ('PO-2026-0110', 'lumen-lys', 'EUR', '0'),
  ('PO-2026-0111', 'hibernia', 'EUR', '0');

INSERT INTO order_lines VALUES
  ('PO-2026-0101', '1', 'BP-80-A4', 'Copy paper A4 80 g, box of 5 reams', '120', '21.90'),
  ('PO-2026-0101', '2', 'BP-LBL-62', 'Shipping labels 62 x 100 mm, roll', '100', '8.40'),
  ('PO-2026-0101', '3', 'BP-ATLAS', 'Instrument atlas, 4th edition (book)', '12', '48.00'),
  ('PO-2026-0102', '1', 'VB-PSU-24', 'Power supply 24 V, 10 A, DIN rail', '12', '84.75'),
  ('PO-2026-0102', '2', 'VB-CBL-5', 'Shielded cable 5 x 0.75 mm2', '500', '2.3150'),
  ('PO-2026-0103', '1', 'MENU-B', 'Business lunch, menu B', '45', '18.50'),
  ('PO-2026-0103', '2', 'COFFEE', 'Coffee and water, per head', '45', '3.20'),
  ('PO-2026-0104', '1', 'OB-FLG-40', 'Flange DN40, stainless', '30', '36.00'),
  ('PO-2026-0105', '1', 'SV-TAP-M6', 'Gängtapp M6 HSS-E', '60', '189.00'),
  ('PO-2026-0105', '2', 'SV-DRILL-5', 'Borr 5,0 mm hårdmetall', '24', '412.50'),
  ('PO-2026-0106', '1', 'FT-JIG-2', 'Drill jig, two spindles', '2', '640.00'),
  ('PO-2026-0107', '1', 'AM-BENCH', 'Optical bench, 2.4 m, calibrated', '2', '11900.00'),
  ('PO-2026-0107', '2', 'AM-INST', 'Installation and calibration on site', '16', '95.00'),
  ('PO-2026-0108', '1', 'FREIGHT-40', 'Sea freight, 40 ft container', '1', '3150.00'),
  ('PO-2026-0109', '1', 'KO-CASE-M', 'Transport case M, foam insert', '80', '27.40'),
  ('PO-2026-0110', '1', 'LL-LAMP-3', 'Inspection lamp, dimmable', '15', '118.00'),
  ('PO-2026-0111', '1', 'HD-HOST', 'Managed hosting, October 2026', '1', '1480.00'),
  ('PO-2026-0111', '2', 'HD-BKP', 'Off-site backup, per 100 GB', '12', '9.75');

INSERT INTO receipts VALUES
  ('PO-2026-0101', '1', '80', '2026-10-28'),
  ('PO-2026-0101', '2', '60', '2026-10-28'),
  ('PO-2026-0101', '3', '12', '2026-10-28'),
  ('PO-2026-0102', '1', '12', '2026-10-28'),
  ('PO-2026-0102', '2', '250', '2026-10-28'),
  ('PO-2026-0103', '1', '45', '2026-10-28'),
  ('PO-2026-0103', '2', '45', '2026-10-28'),
  ('PO-2026-0104', '1', '30', '2026-10-28'),
  ('PO-2026-0105', '1', '60', '2026-10-28'),
  ('PO-2026-0105', '2', '24', '2026-10-28'),
  ('PO-2026-0106', '1', '2', '2026-10-28'),
  ('PO-2026-0107', '1', '2', '2026-10-28'),
  ('PO-2026-0107', '2', '16', '2026-10-28'),
  ('PO-2026-0108', '1', '1', '2026-10-28'),
  ('PO-2026-0109', '1', '60', '2026-10-28'),
  ('PO-2026-0110', '1', '15', '2026-10-28'),
  ('PO-2026-0111', '1', '1', '2026-10-28'),
  ('PO-2026-0111', '2', '12', '2026-10-28');
